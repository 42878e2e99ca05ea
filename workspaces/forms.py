"""What the people pages ask for. Forms check the shape of input; services know the rules."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils import timezone

from workspaces.access import Access
from workspaces.models import Role, User

EXPIRY_DAYS = (("30", "30 days"), ("90", "90 days"), ("365", "1 year"), ("", "Never"))


class WorkspaceForm(forms.Form):
    name = forms.CharField(max_length=120, help_text="Everyone in it sees its datasets, models and runs.")


class RenameForm(forms.Form):
    name = forms.CharField(max_length=120, help_text="Addresses of pages stay as they are.")


class PersonForm(forms.Form):
    """A new person: name, address and a password that passes the validators."""

    name = forms.CharField(max_length=120, widget=forms.TextInput({"autocomplete": "name"}))
    email = forms.EmailField(max_length=254, widget=forms.EmailInput({"autocomplete": "username"}))
    password = forms.CharField(
        strip=False,
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
        help_text="At least 8 characters, and not one of the common ones.",
    )

    def clean_email(self) -> str:
        return str(self.cleaned_data["email"]).lower()

    def clean(self) -> dict[str, Any]:
        values = self.cleaned_data
        person = User(email=values.get("email", ""), name=values.get("name", ""))
        if password := values.get("password"):
            try:
                validate_password(password, person)
            except ValidationError as error:
                self.add_error("password", error)
        return values


class SetupForm(PersonForm):
    workspace = forms.CharField(
        max_length=120,
        label="Workspace",
        help_text="Where your team's evaluations live; you can add more later.",
    )
    code = forms.CharField(
        max_length=80,
        label="Setup code",
        help_text="Proves that this installation is yours.",
        widget=forms.TextInput({"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )
    field_order = ("code", "name", "email", "password", "workspace")


class JoinForm(PersonForm):
    """With an invitation for one address, the address is given."""

    def __init__(self, *args: Any, bound_email: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if bound_email:
            self.fields["email"].initial = bound_email
            self.fields["email"].disabled = True


def roles_up_to(access: Access) -> list[tuple[str, str]]:
    return [(role.value, role.label) for role in Role if access.can(role)]


class RoleForm(forms.Form):
    role = forms.ChoiceField(choices=Role.choices)

    @property
    def chosen(self) -> Role:
        return Role(self.cleaned_data["role"])


class InviteForm(RoleForm):
    email = forms.EmailField(
        required=False,
        max_length=254,
        label="Only for this address",
        help_text="Optional. Without it, whoever has the link can join.",
        widget=forms.EmailInput({"autocomplete": "off", "placeholder": "name@example.org"}),
    )
    field_order = ("email", "role")

    def __init__(self, *args: Any, access: Access, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        role = self.fields["role"]
        assert isinstance(role, forms.ChoiceField)
        role.choices, role.initial = roles_up_to(access), Role.EDITOR


class TokenForm(RoleForm):
    name = forms.CharField(max_length=80, help_text="What will use it, such as nightly evaluation.")
    days = forms.ChoiceField(choices=EXPIRY_DAYS, label="Expires after", required=False, initial="90")
    field_order = ("name", "role", "days")

    def __init__(self, *args: Any, access: Access, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        role, held = self.fields["role"], roles_up_to(access)
        assert isinstance(role, forms.ChoiceField)
        role.choices, role.help_text = held, "At most your own role."
        role.initial = Role.EDITOR if access.can_edit else held[-1][0]

    @property
    def expires_at(self) -> datetime | None:
        days = self.cleaned_data["days"]
        return timezone.now() + timedelta(days=int(days)) if days else None


class TypedConfirmation(forms.Form):
    """Destruction is typed: the phrase, exactly."""

    confirm = forms.CharField(
        strip=True,
        label="Confirmation",
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, expected: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.expected = expected
        self.fields["confirm"].label = f"Type {expected} to confirm"

    def clean_confirm(self) -> str:
        phrase = str(self.cleaned_data["confirm"])
        if phrase != self.expected:
            raise ValidationError(f"Type exactly: {self.expected}")
        return phrase
