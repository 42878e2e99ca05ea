"""How allauth behaves here: nobody signs up by themselves, and pages lead back into the portal."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest
from django.urls import reverse


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": "The email address or the password is wrong.",
        "too_many_login_attempts": "Too many failed attempts. Wait a few minutes, then try again.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Never: people join by an invitation's link, which has a page of its own."""
        return False

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return reverse("home")
