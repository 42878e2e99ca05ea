"""People, workspaces, tokens and the audit trail in the admin, through the same services as the pages."""

import json
from typing import Any

from allauth.account import admin as allauth_admin
from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from django.contrib import admin, messages
from django.contrib.auth import admin as auth_admin
from django.contrib.auth.models import Group
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.decorators import display

from workspaces import people, services
from workspaces.access import Access, staff_access
from workspaces.admin_base import ReadOnlyAdmin, ServiceAdmin, staff_of
from workspaces.models import ApiToken, AuditEvent, Invitation, Membership, Role, User, Workspace

# One login, with its rate limits; and no pages for what this portal does not use.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
assert auth_admin and allauth_admin  # both have registered by now
for unused in (Group, EmailAddress):
    admin.site.unregister(unused)

STATE_COLOURS = {
    "open": "info",
    "usable": "success",
    "accepted": "success",
    "revoked": "danger",
    "expired": "warning",
}


def admin_access(request: HttpRequest, workspace: Workspace) -> Access:
    return staff_access(staff_of(request), workspace)


def once_it_exists(self: Any, request: HttpRequest, obj: object = None) -> tuple[Any, ...]:
    return self.inlines if obj else ()


class MembershipInline(TabularInline):  # type: ignore[misc]
    """To look at; each row links to where its role is changed."""

    model = Membership
    fields = readonly_fields = ("workspace", "user", "role", "created_at")
    extra = 0
    can_delete = False
    show_change_link = True
    tab = True

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return bool(getattr(request.user, "is_staff", False))

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        rows: QuerySet[Membership] = super().get_queryset(request).select_related("workspace", "user")
        return rows


@admin.register(User)
class UserAdmin(ServiceAdmin):
    list_display = (
        "email",
        "name",
        "shown_active",
        "is_staff",
        "workspace_count",
        "last_login",
        "date_joined",
    )
    list_filter = ("is_active", "is_staff", ("date_joined", RangeDateTimeFilter))
    search_fields = ("email", "name")
    ordering = ("email",)
    fields = ("email", "name", "is_active", "is_staff", "last_login", "date_joined")
    readonly_fields = ("last_login", "date_joined")
    inlines = (MembershipInline,)
    get_inlines = once_it_exists
    actions = ("make_password_link", "activate", "deactivate")

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        rows: QuerySet[User] = super().get_queryset(request).annotate(workspaces_n=Count("memberships"))
        return rows

    @admin.display(description="Active", boolean=True)
    def shown_active(self, person: User) -> bool:
        return person.is_active

    @admin.display(description="Workspaces", ordering="workspaces_n")
    def workspace_count(self, person: Any) -> int:
        return int(person.workspaces_n)

    def get_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        return self.fields if obj else ("email", "name", "is_staff")

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """A new person has no password: a link with which they choose one is an action of the list."""
        actor, given = staff_of(request), form.cleaned_data
        if not change:
            made = people.person_create(actor, email=given["email"], name=given["name"], password=None)
            obj.pk = made.pk
            if given["is_staff"]:
                people.person_set_staff(actor, made, staff=True)
            return
        person = User.objects.get(pk=obj.pk)
        if "email" in form.changed_data:
            people.person_set_email(actor, person, email=given["email"])
        if "name" in form.changed_data:
            people.person_rename(actor, person, name=given["name"])
        if "is_active" in form.changed_data:
            people.person_set_active(actor, person, active=given["is_active"])
        if "is_staff" in form.changed_data:
            people.person_set_staff(actor, person, staff=given["is_staff"])

    def delete_row(self, request: HttpRequest, row: User) -> None:
        people.person_delete(staff_of(request), row)

    @admin.action(description="Make a link to choose a new password")
    def make_password_link(self, request: HttpRequest, chosen: QuerySet[User]) -> None:
        for person in chosen[:20]:
            link = request.build_absolute_uri(people.password_link(staff_of(request), person))
            messages.success(request, f"For {person.email}, once: {link}")

    @admin.action(description="Activate")
    def activate(self, request: HttpRequest, chosen: QuerySet[User]) -> None:
        for person in chosen:
            people.person_set_active(staff_of(request), person, active=True)

    @admin.action(description="Deactivate")
    def deactivate(self, request: HttpRequest, chosen: QuerySet[User]) -> None:
        for person in chosen:
            people.person_set_active(staff_of(request), person, active=False)


@admin.register(Workspace)
class WorkspaceAdmin(ServiceAdmin):
    list_display = ("name", "slug", "member_count", "owner_count", "created_at", "portal_link")
    list_filter = (("created_at", RangeDateTimeFilter),)
    search_fields = ("name", "slug")
    readonly_fields = ("slug", "created_at")
    fields = ("name", "slug", "monthly_cost_ceiling", "monthly_token_ceiling", "created_at")
    inlines = (MembershipInline,)
    get_inlines = once_it_exists

    def get_queryset(self, request: HttpRequest) -> QuerySet[Workspace]:
        owners = Count("memberships", filter=Q(memberships__role=Role.OWNER))
        rows: QuerySet[Workspace] = super().get_queryset(request)
        return rows.annotate(members_n=Count("memberships"), owners_n=owners)

    @admin.display(description="Members", ordering="members_n")
    def member_count(self, workspace: Any) -> int:
        return int(workspace.members_n)

    @admin.display(description="Owners", ordering="owners_n")
    def owner_count(self, workspace: Any) -> int:
        return int(workspace.owners_n)

    @admin.display(description="Portal")
    def portal_link(self, workspace: Workspace) -> SafeString:
        return format_html('<a href="{}">Open</a>', workspace.get_absolute_url())

    def get_fields(self, request: HttpRequest, obj: Workspace | None = None) -> tuple[str, ...]:
        return self.fields if obj else ("name",)

    def save_model(self, request: HttpRequest, obj: Workspace, form: Any, change: bool) -> None:
        name = form.cleaned_data["name"]
        if not change:
            obj.pk = services.workspace_create(staff_of(request), name=name).pk
            return
        access = admin_access(request, Workspace.objects.get(pk=obj.pk))
        if "name" in form.changed_data:
            services.workspace_rename(access, name=name)
        if {"monthly_cost_ceiling", "monthly_token_ceiling"} & set(form.changed_data):
            services.workspace_set_ceilings(
                access,
                cost=form.cleaned_data["monthly_cost_ceiling"],
                tokens=form.cleaned_data["monthly_token_ceiling"],
            )

    def delete_row(self, request: HttpRequest, row: Workspace) -> None:
        services.workspace_delete(admin_access(request, row))


@admin.register(Membership)
class MembershipAdmin(ServiceAdmin):
    list_display = ("user", "workspace", "role", "created_at", "portal_link")
    list_filter = ("role", "workspace")
    search_fields = ("user__email", "user__name", "workspace__name", "workspace__slug")
    autocomplete_fields = ("user", "workspace")
    list_select_related = ("user", "workspace")
    fields = ("workspace", "user", "role")

    def get_readonly_fields(self, request: HttpRequest, obj: Membership | None = None) -> tuple[str, ...]:
        return ("workspace", "user") if obj else ()

    @admin.display(description="Portal")
    def portal_link(self, membership: Membership) -> SafeString:
        return format_html(
            '<a href="{}">Members</a>', reverse("workspaces:members", args=[membership.workspace.slug])
        )

    def save_model(self, request: HttpRequest, obj: Membership, form: Any, change: bool) -> None:
        access, role = admin_access(request, obj.workspace), Role(form.cleaned_data["role"])
        if change:
            services.member_set_role(access, Membership.objects.get(pk=obj.pk), role=role)
        else:
            obj.pk = services.member_add(access, user=obj.user, role=role).pk

    def delete_row(self, request: HttpRequest, row: Membership) -> None:
        services.member_remove(admin_access(request, row.workspace), row)


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    list_display = ("workspace", "email", "role", "state", "created_by", "created_at", "expires_at")
    list_filter = ("role", "workspace", ("created_at", RangeDateTimeFilter))
    search_fields = ("email", "workspace__name", "created_by__email", "accepted_by__email")
    list_select_related = ("workspace", "created_by")
    fields = (
        "workspace", "email", "role", "created_by", "created_at", "expires_at", "accepted_by", "accepted_at",
        "revoked_at",
    )  # fmt: skip
    actions = ("revoke",)

    @display(description="State", label=STATE_COLOURS)
    def state(self, invitation: Invitation) -> str:
        if invitation.accepted_at:
            return "accepted"
        return "open" if invitation.is_open else "revoked" if invitation.revoked_at else "expired"

    @admin.action(description="Revoke")
    def revoke(self, request: HttpRequest, chosen: QuerySet[Invitation]) -> None:
        for invitation in chosen.select_related("workspace"):
            services.invitation_revoke(admin_access(request, invitation.workspace), invitation)


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    list_display = (
        "name",
        "shown_prefix",
        "workspace",
        "created_by",
        "role",
        "state",
        "expires_at",
        "last_used_at",
    )
    list_filter = ("role", "workspace", ("last_used_at", RangeDateTimeFilter))
    search_fields = ("name", "prefix", "created_by__email", "workspace__name")
    list_select_related = ("workspace", "created_by")
    fields = (
        "name", "prefix", "workspace", "created_by", "role", "created_at", "expires_at", "last_used_at",
        "revoked_at",
    )  # fmt: skip
    actions = ("revoke",)

    @admin.display(description="Begins with")
    def shown_prefix(self, token: ApiToken) -> str:
        return f"{token.prefix}…"

    @display(description="State", label=STATE_COLOURS)
    def state(self, token: ApiToken) -> str:
        return "usable" if token.is_usable else "revoked" if token.revoked_at else "expired"

    @admin.action(description="Revoke")
    def revoke(self, request: HttpRequest, chosen: QuerySet[ApiToken]) -> None:
        for token in chosen.select_related("workspace"):
            services.token_revoke(admin_access(request, token.workspace), token)


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    """What happened; nobody changes it, here or anywhere."""

    list_display = ("created_at", "action", "target", "actor_label", "workspace_name")
    list_filter = ("action", "workspace", ("created_at", RangeDateTimeFilter))
    search_fields = ("action", "target", "actor_label", "workspace_name")
    ordering = ("-id",)
    actions = None
    list_per_page = 50
    fields = readonly_fields = (
        "created_at", "action", "target", "actor_label", "actor", "workspace_name", "workspace",
        "shown_detail",
    )  # fmt: skip

    @admin.display(description="Detail")
    def shown_detail(self, event: AuditEvent) -> SafeString:
        return format_html("<pre>{}</pre>", json.dumps(event.detail, indent=2, ensure_ascii=False))
