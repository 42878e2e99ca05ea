"""What admin pages of any app may build on: staff only, services do the writing, refusals are shown."""

from collections.abc import Callable, Iterable
from typing import Any, cast

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.admin import ModelAdmin

from workspaces.models import User
from workspaces.services import Refused


def staff_of(request: HttpRequest) -> User:
    """The acting administrator."""
    user = request.user
    if not (isinstance(user, User) and user.is_active and user.is_staff):
        raise PermissionDenied("Site staff only.")
    return user


class ServiceAdmin(ModelAdmin):  # type: ignore[misc]
    """Site staff may do everything here, others nothing. Subclasses call services in `save_model` and
    `delete_row`; a service that refuses rolls back and its words are shown."""

    list_filter_submit = True

    def _is_staff(self, request: HttpRequest, obj: object = None) -> bool:
        return bool(request.user.is_active and getattr(request.user, "is_staff", False))

    has_view_permission = has_add_permission = has_change_permission = has_delete_permission = _is_staff
    has_module_permission = _is_staff

    def delete_row(self, request: HttpRequest, row: Any) -> None:
        raise NotImplementedError("name the service that deletes it")

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        self.delete_row(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: Iterable[Model]) -> None:
        for row in queryset:
            self.delete_row(request, row)

    def get_deleted_objects(self, objs: Iterable[Model], request: HttpRequest) -> tuple[Any, ...]:
        """Not Django's, which loads every row that depends on them."""
        names = [str(row) for row in objs]
        return names, {str(self.model._meta.verbose_name_plural): len(names)}, set(), []

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._or_why_not(
            request, lambda: super(ServiceAdmin, self).changeform_view(request, *args, **kwargs)
        )

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._or_why_not(
            request, lambda: super(ServiceAdmin, self).delete_view(request, *args, **kwargs)
        )

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._or_why_not(
            request, lambda: super(ServiceAdmin, self).changelist_view(request, *args, **kwargs)
        )

    def _or_why_not(self, request: HttpRequest, answer: Callable[[], Any]) -> HttpResponse:
        try:
            if request.method != "POST":
                return cast(HttpResponse, answer())
            with transaction.atomic():
                return cast(HttpResponse, answer())
        except Refused as refusal:
            messages.error(request, str(refusal))
            return redirect(request.get_full_path())


class ReadOnlyAdmin(ServiceAdmin):
    """To look at; what may be done is an action."""

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False
