"""Secrets show themselves nowhere, and survive nothing but `reveal`."""

import copy
import json
import logging
import pickle
from dataclasses import asdict, replace
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core import serializers
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection
from django.forms import model_to_dict
from django.template import Context, Template
from kombu.utils import json as kombu_json
from rest_framework.utils.encoders import JSONEncoder

from evalportal.lib.secret_fields import Secret, UndecryptableSecret
from registry.calls import Endpoint
from registry.models import Provider

PLAIN = "sk-very-secret-0123456789"


@pytest.fixture
def stored(db: None) -> Provider:
    Provider.objects.create(
        name="P", base_url="https://x.example/v1", api_key=PLAIN, headers=json.dumps({"x-auth": PLAIN})
    )
    return Provider.objects.get()


def test_no_way_of_writing_shows_it(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(PLAIN)
    logging.getLogger("x").warning("%s %r", secret, secret)
    ways = [
        str(secret), repr(secret), f"{secret}", f"{secret!s}", f"{secret!r}", f"{secret:>40}", f"{secret}",
        f"{secret}", repr([secret]), repr({"k": secret}), ascii(secret),
        Template("{{ s }} {{ s|safe }} {{ s|upper }}").render(Context({"s": secret})), caplog.text,
    ]  # fmt: skip
    assert not any(PLAIN in way or PLAIN.upper() in way for way in ways)
    assert secret.reveal() == PLAIN


@pytest.mark.parametrize("encoder", [None, DjangoJSONEncoder, JSONEncoder])
def test_it_is_no_json(encoder: Any) -> None:
    with pytest.raises(TypeError):
        json.dumps({"key": Secret(PLAIN)}, cls=encoder)


def test_it_is_no_task_argument() -> None:
    with pytest.raises(TypeError):
        kombu_json.dumps([Secret(PLAIN)])


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_is_not_pickled(protocol: int) -> None:
    with pytest.raises(TypeError, match="never serialised"):
        pickle.dumps(Secret(PLAIN), protocol)


AS_TEXT = [
    lambda s: s + "x",
    lambda s: "x" + s,
    lambda s: "".join([s]),
    lambda s: s[:2],
    lambda s: s.encode(),
]


@pytest.mark.parametrize("use", [*AS_TEXT, list, len, bytes, hash, vars])
def test_it_is_no_string(use: Any) -> None:
    with pytest.raises((TypeError, AttributeError)):
        use(Secret(PLAIN))


def test_copies_are_itself_and_equal_ones_are_equal() -> None:
    secret = Secret(PLAIN)
    assert copy.copy(secret) is secret and copy.deepcopy({"k": secret})["k"] is secret
    assert secret == Secret(PLAIN) and secret != Secret("other") and secret != PLAIN
    assert secret and not Secret("")


def test_endpoint_prints_and_copies_without_it(stored: Provider) -> None:
    endpoint = Endpoint.of(stored)
    assert endpoint.headers == {"x-auth": PLAIN} and endpoint.api_key.reveal() == PLAIN
    shown = f"{endpoint} {endpoint!r} {replace(endpoint, timeout_s=1.0)}"
    assert PLAIN not in shown and isinstance(asdict(endpoint)["api_key"], Secret)


def test_database_holds_it_encrypted(stored: Provider) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM registry_provider")
        assert PLAIN not in repr(cursor.fetchall())


def test_instance_shows_it_neither_saved_nor_unsaved(stored: Provider) -> None:
    for provider in (stored, Provider(api_key=PLAIN, headers=PLAIN)):
        assert PLAIN not in repr(vars(provider)) and PLAIN not in repr(model_to_dict(provider))
        assert provider.api_key.reveal() == PLAIN
    assert PLAIN not in repr(list(Provider.objects.values()))


def test_dumps_leave_it_out(stored: Provider) -> None:
    dump = serializers.serialize("json", Provider.objects.all())
    assert PLAIN not in dump and '"api_key": ""' in dump


def test_pickled_instance_is_refused(stored: Provider) -> None:
    with pytest.raises(TypeError):
        pickle.dumps(stored)


def test_saving_again_keeps_what_is_stored(stored: Provider) -> None:
    stored.save(update_fields=["api_key", "name"])
    assert Provider.objects.get().api_key.reveal() == PLAIN


def test_lost_field_key_breaks_no_list_and_says_what_to_do(stored: Provider, settings: Any) -> None:
    settings.FIELD_KEYS = [Fernet.generate_key().decode()]
    provider = Provider.objects.get()
    assert str(provider.api_key) == "…"
    with pytest.raises(UndecryptableSecret, match="enter it again"):
        provider.api_key.reveal()
    provider.save(update_fields=["api_key"])  # does not make it worse
    assert provider.api_key


def test_older_field_key_still_reads(stored: Provider, settings: Any) -> None:
    settings.FIELD_KEYS = [Fernet.generate_key().decode(), *settings.FIELD_KEYS]
    assert Provider.objects.get().api_key.reveal() == PLAIN
