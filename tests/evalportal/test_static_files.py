"""Static files: their addresses change with their content."""

from django.templatetags.static import static
from django.test import Client


def test_addresses_carry_the_contents_hash_and_work(client: Client) -> None:
    address = static("app.js")
    assert address.startswith("/static/app.js?v=") and len(address.rpartition("=")[2]) == 10
    assert client.get(address).status_code == 200


def test_an_unknown_file_has_a_plain_address() -> None:
    assert static("no-such-file.js") == "/static/no-such-file.js"
