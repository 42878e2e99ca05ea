"""A model field whose value is encrypted at rest with MultiFernet; the keys live apart from SECRET_KEY."""

from functools import cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models


class UndecryptableSecret(Exception):
    """The stored value was written with a key that this installation no longer has."""


@cache
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def encrypt(value: str) -> str:
    return _fernet(tuple(settings.FIELD_KEYS)).encrypt(value.encode()).decode()


def decrypt(token: str) -> str:
    try:
        return _fernet(tuple(settings.FIELD_KEYS)).decrypt(token.encode()).decode()
    except InvalidToken as error:
        raise UndecryptableSecret("this secret was stored with another key; enter it again") from error


class Secret(str):
    """A decrypted value that does not show itself in logs, tracebacks or templates."""

    def __repr__(self) -> str:
        return "Secret(…)"

    def __str__(self) -> str:
        return "…" if self else ""

    def reveal(self) -> str:
        """The plain value, for the one place that sends it."""
        return str.__str__(self)


if TYPE_CHECKING:
    TextField = models.TextField[Any, Any]
else:
    TextField = models.TextField


class EncryptedTextField(TextField):
    """Text that is stored encrypted and read as `Secret`; empty stays empty."""

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value.reveal() if isinstance(value, Secret) else value)
        return encrypt(value) if value else value

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Secret | None:
        return None if value is None else Secret(decrypt(value) if value else "")
