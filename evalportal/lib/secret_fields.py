"""A model field whose value is encrypted at rest with MultiFernet; the keys live apart from SECRET_KEY."""

from functools import cache
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, NoReturn

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models
from django.db.models.query_utils import DeferredAttribute


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
        raise UndecryptableSecret("This secret was stored with another key; enter it again.") from error


class Secret:
    """A value that shows itself to nobody but the one place that calls `reveal`.

    It is no string on purpose: joining, formatting, JSON and pickling cannot get at it by accident.
    One that comes from the database stays encrypted until it is revealed.
    """

    __slots__ = ("__plain", "__token")

    def __init__(self, plain: str = "", *, token: str = ""):
        self.__plain = plain
        self.__token = token

    def reveal(self) -> str:
        """The plain value. Raises UndecryptableSecret when it was stored with a lost key."""
        return decrypt(self.__token) if self.__token else self.__plain

    def sealed(self) -> str:
        """The encrypted form, as it is stored; empty for an empty value."""
        return self.__token or (encrypt(self.__plain) if self.__plain else "")

    def __bool__(self) -> bool:
        return bool(self.__token or self.__plain)

    def __repr__(self) -> str:
        return "Secret(…)" if self else "Secret()"

    def __str__(self) -> str:
        return "…" if self else ""

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return compare_digest(self.reveal().encode(), other.reveal().encode())

    __hash__ = None  # type: ignore[assignment]  # a hash would be a way to test guesses

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: Any) -> "Secret":
        return self

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a secret is never serialised")


class SecretAttribute(DeferredAttribute):
    """Wraps whatever is assigned, so that an unsaved instance does not show it either."""

    def __set__(self, instance: models.Model, value: Any) -> None:
        instance.__dict__[self.field.attname] = Secret(value) if isinstance(value, str) else value


if TYPE_CHECKING:
    TextField = models.TextField[Any, Any]
else:
    TextField = models.TextField


class EncryptedTextField(TextField):
    """Text that is stored encrypted and read as `Secret`; empty stays empty."""

    descriptor_class = SecretAttribute

    def to_python(self, value: Any) -> Any:
        return value if isinstance(value, Secret) or value is None else Secret(str(value))

    def get_prep_value(self, value: Any) -> Any:
        secret = self.to_python(value)
        return None if secret is None else secret.sealed()

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Secret | None:
        return None if value is None else Secret(token=value)

    def value_to_string(self, obj: Any) -> str:
        """Nothing: secrets are not part of dumps."""
        return ""

    def value_from_object(self, obj: models.Model) -> Any:
        """What forms and `model_to_dict` start from: nothing, since secrets are write-only."""
        return ""
