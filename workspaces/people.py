"""What is commanded about people: first start, joining by invitation, site staff, leaving."""

import secrets
from pathlib import Path

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.db import transaction
from django.urls import reverse

from evalportal.lib.env import kept_secret
from workspaces import audit, selectors
from workspaces.models import Invitation, Membership, Role, User
from workspaces.services import Refused, invitation_accept, workspace_create

UNAMBIGUOUS = "abcdefghjkmnpqrstuvwxyz23456789"  # no 0/o, 1/i/l: it is typed by hand


# First start


def setup_code_path() -> Path:
    return Path(settings.DATA_DIR) / "setup-code"


def setup_code() -> str:
    """Proves at first start that one can read the data folder. 16 characters, 79 bits."""
    groups = ("".join(secrets.choice(UNAMBIGUOUS) for _ in range(4)) for _ in range(4))
    return kept_secret(setup_code_path(), make="-".join(groups))


@transaction.atomic
def person_setup(*, code: str, email: str, name: str, password: str, workspace: str) -> User:
    """The first person, site staff, with a workspace. Raises Refused on a wrong code or a second call."""
    if User.objects.exists():
        raise Refused("This installation is set up already. Log in instead.")
    if not secrets.compare_digest(code.strip().lower().encode(), setup_code().encode()):
        raise Refused("That is not the setup code.")
    user = User.objects.create_superuser(email, password, name=name)
    audit.record_site(user, "person.setup", user.email)
    workspace_create(user, name=workspace)
    transaction.on_commit(lambda: setup_code_path().unlink(missing_ok=True))
    return user


# Joining and leaving


@transaction.atomic
def person_join(invitation: Invitation, *, email: str, name: str, password: str) -> User:
    """A new person and their membership, or neither. Raises Refused."""
    if User.objects.filter(email__iexact=email).exists():
        raise Refused("There is an account with this address. Log in, then open the link again.")
    user = User.objects.create_user(email, password, name=name)
    audit.record_site(user, "person.join", user.email)
    invitation_accept(invitation, user)
    return user


@transaction.atomic
def person_create(actor: User, *, email: str, name: str, password: str | None) -> User:
    user = User.objects.create_user(email, password, name=name)
    audit.record_site(actor, "person.create", user.email)
    return user


@transaction.atomic
def person_rename(actor: User, person: User, *, name: str) -> None:
    person.name = name
    person.save(update_fields=["name"])
    audit.record_site(actor, "person.rename", person.email)


@transaction.atomic
def person_set_email(actor: User, person: User, *, email: str) -> None:
    before, person.email = person.email, email.lower()
    person.save(update_fields=["email"])
    audit.record_site(actor, "person.set_email", person.email, before=before)


@transaction.atomic
def person_set_active(actor: User, person: User, *, active: bool) -> None:
    """An inactive person cannot log in and their tokens stop. Raises Refused for oneself, last owners."""
    if not active:
        _refuse_for_oneself(actor, person)
        _refuse_for_last_owner(person)
    person.is_active = active
    person.save(update_fields=["is_active"])
    audit.record_site(actor, "person.activate" if active else "person.deactivate", person.email)


@transaction.atomic
def person_set_staff(actor: User, person: User, *, staff: bool) -> None:
    """Site staff may do everything in the admin; there is no half. Raises Refused for oneself."""
    if not staff:
        _refuse_for_oneself(actor, person)
    person.is_staff = person.is_superuser = staff
    person.save(update_fields=["is_staff", "is_superuser"])
    audit.record_site(actor, "person.make_staff" if staff else "person.end_staff", person.email)


@transaction.atomic
def person_delete(actor: User, person: User) -> None:
    """Removes the account with its memberships and tokens. Raises Refused for oneself, last owners."""
    _refuse_for_oneself(actor, person)
    _refuse_for_last_owner(person)
    audit.record_site(actor, "person.delete", person.email)
    person.delete()


def password_link(actor: User, person: User) -> str:
    """A path under which this person chooses a password, once; for where no mail is sent."""
    audit.record_site(actor, "person.password_link", person.email)
    parts = {"uidb36": user_pk_to_url_str(person), "key": default_token_generator.make_token(person)}
    return reverse("account_reset_password_from_key", kwargs=parts)


def _refuse_for_oneself(actor: User, person: User) -> None:
    if actor == person:
        raise Refused("Not with your own account: ask another administrator.")


def _refuse_for_last_owner(person: User) -> None:
    owned = Membership.objects.filter(user=person, role=Role.OWNER).select_related("workspace")
    alone = [mine.workspace.name for mine in owned if not selectors.other_owners(mine).exists()]
    if alone:
        raise Refused(
            f"{person.email} is the last owner of {', '.join(alone)}. Make someone else an owner first."
        )
