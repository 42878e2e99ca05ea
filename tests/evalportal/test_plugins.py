"""Tables of plug-ins: found by key, no key twice, a miss names its neighbours."""

import json

import pytest

from evalportal.lib.plugins import PluginTable, UnknownPlugin

TABLE = PluginTable("format", (("json_text", "json:dumps"), ("json_file", "json:dump")))


def test_a_key_gives_what_it_names() -> None:
    assert TABLE["json_text"] is json.dumps
    assert list(TABLE) == ["json_text", "json_file"]
    assert "json_text" in TABLE and "yaml" not in TABLE
    assert TABLE.items() == {"json_text": json.dumps, "json_file": json.dump}


def test_a_near_miss_is_helped() -> None:
    with pytest.raises(UnknownPlugin, match="no format named 'json_txt'; did you mean json_text"):
        TABLE["json_txt"]


def test_a_far_miss_lists_what_there_is() -> None:
    with pytest.raises(UnknownPlugin, match="known: json_text, json_file"):
        TABLE["protobuf"]


def test_a_key_declared_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="'a' is declared twice"):
        PluginTable("format", (("a", "json:dumps"), ("a", "json:dump")))
