"""Settings fail loudly and by name; secrets are kept for their owner alone."""

from pathlib import Path

import pytest

from evalportal.lib import env


@pytest.mark.parametrize(
    ("raw", "value"), [("1", True), ("Yes", True), ("off", False), ("", False), (" no ", False)]
)
def test_flags_read_yes_and_no(monkeypatch: pytest.MonkeyPatch, raw: str, value: bool) -> None:
    monkeypatch.setenv("SWITCH", raw)
    assert env.flag("SWITCH", default=not value) is value


def test_a_missing_flag_is_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SWITCH", raising=False)
    assert env.flag("SWITCH", default=True) is True


def test_bad_values_name_their_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCH", "maybe")
    monkeypatch.setenv("COUNT", "many")
    with pytest.raises(env.BadSetting, match="SWITCH='maybe'"):
        env.flag("SWITCH")
    with pytest.raises(env.BadSetting, match="COUNT='many'"):
        env.integer("COUNT", 1)


def test_words_are_split_at_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTS", "a.example, b.example,,")
    assert env.words("HOSTS") == ["a.example", "b.example"]


def test_a_kept_secret_stays_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secret"
    first = env.kept_secret(path)
    assert len(first) > 40
    assert env.kept_secret(path, make="other") == first
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0
