"""The account pages of allauth that this portal shows; the others, which it reverses by name, lead home.

Everyone has one address, changed by site staff, so there is no email management; nobody signs up
without an invitation.
"""

from allauth.account import views as allauth
from django.conf import settings
from django.urls import URLPattern, path, re_path
from django.views.generic import RedirectView

home = RedirectView.as_view(pattern_name="home")
mail = {"mail_is_sent": bool(settings.EMAIL_HOST)}
NOT_SHOWN = (
    ("email/", "account_email"),
    ("confirm-email/", "account_email_verification_sent"),
    ("login/code/confirm/", "account_confirm_login_code"),
)
KEY = r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$"

urlpatterns: list[URLPattern] = [
    path("login/", allauth.login, name="account_login"),
    path("logout/", allauth.logout, name="account_logout"),
    path("inactive/", allauth.account_inactive, name="account_inactive"),
    path("signup/", allauth.signup, name="account_signup"),
    path("reauthenticate/", allauth.reauthenticate, name="account_reauthenticate"),
    path("password/change/", allauth.password_change, name="account_change_password"),
    path("password/set/", allauth.password_set, name="account_set_password"),
    path("password/reset/", allauth.password_reset, name="account_reset_password"),
    path(
        "password/reset/done/",
        allauth.PasswordResetDoneView.as_view(extra_context=mail),
        name="account_reset_password_done",
    ),
    re_path(KEY, allauth.password_reset_from_key, name="account_reset_password_from_key"),
    path(
        "password/reset/key/done/",
        allauth.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    *(path(route, home, name=name) for route, name in NOT_SHOWN),
    re_path(
        r"^confirm-email/(?P<key>[-:\w]+)/$", RedirectView.as_view(url="/"), name="account_confirm_email"
    ),
]
