"""What a bundle says, as plain data: the benchmark, the file of each part, and what was not taken over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from benchmarks.bundles.archive import Archive, BadBundle
from benchmarks.bundles.writing import FORMAT, VERSION
from benchmarks.models import Measure, Phase
from benchmarks.wish import PhaseWish
from judges.templating import DEFAULT_TEMPLATE

Plain = Mapping[str, Any]


@dataclass(frozen=True)
class BundlePart:
    """A part with its items: a member of the archive, or `content` that was put together from several."""

    dataset: str
    source_name: str
    member: str = ""
    content: bytes = b""
    values: Plain = field(default_factory=dict)


@dataclass(frozen=True)
class Bundle:
    """`left_out` says, a sentence each, what of the bundle has no place here."""

    name: str
    summary: str
    slug: str
    parts: Sequence[BundlePart]
    phases: Sequence[PhaseWish]
    left_out: Sequence[str] = ()


def own_bundle(archive: Archive) -> Bundle:
    """Raises BadBundle."""
    told = archive.document("benchmark.yaml")
    if told.get("format") != FORMAT or told.get("format_version") != VERSION:
        raise BadBundle(f"benchmark.yaml is not of format {FORMAT}, version {VERSION}.")
    parts = [_part(archive, each, at) for at, each in enumerate(mappings(told, "parts"), 1)]
    phases = [phase_wish(each, at) for at, each in enumerate(mappings(told, "phases"), 1)]
    return Bundle(text(told, "name"), text(told, "summary"), text(told, "slug"), parts, phases)


def _part(archive: Archive, told: Plain, at: int) -> BundlePart:
    member = text(told, "data")
    if member not in archive.members:
        raise BadBundle(f"Part {at} names {member or 'no file'}, which the bundle does not hold.")
    weight = told.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        raise BadBundle(f"The weight of part {at} is not a number.")
    values = {
        "subset": mapping(told, "subset"),
        "sections": texts(told, "sections"),
        "limit": whole(told, "limit"),
        "template": text(told, "template") or DEFAULT_TEMPLATE,
        "params": mapping(told, "params"),
        "scorers": mappings(told, "scorers"),
        "primary": text(told, "primary"),
        "measure": text(told, "measure") or str(Measure.SHARE),
        "weight": float(weight),
        "judges": mappings(told, "judges"),
    }
    return BundlePart(text(told, "dataset") or f"Part {at}", "items.jsonl", member, b"", values)


def phase_wish(told: Plain, at: int) -> PhaseWish:
    return PhaseWish(
        name=text(told, "name")[:80] or f"Phase {at}",
        starts_at=moment(told, "starts_at"),
        ends_at=moment(told, "ends_at"),
        sections=texts(told, "sections"),
        limit=whole(told, "limit"),
        most_runs=whole(told, "most_runs"),
        most_per=text(told, "most_per") or str(Phase.Per.MODEL),
    )


def text(told: Plain, name: str) -> str:
    value = told.get(name)
    if value is None:
        return ""
    if not isinstance(value, str | int | float):
        raise BadBundle(f"{name} is not text.")
    return str(value).replace("\0", "")


def texts(told: Plain, name: str) -> list[str]:
    value = told.get(name) or []
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise BadBundle(f"{name} is not a list of texts.")
    return value


def mapping(told: Plain, name: str) -> dict[str, Any]:
    value = told.get(name) or {}
    if not isinstance(value, dict):
        raise BadBundle(f"{name} is not a mapping.")
    return value


def mappings(told: Plain, name: str) -> list[dict[str, Any]]:
    value = told.get(name) or []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise BadBundle(f"{name} is not a list of mappings.")
    return value


def whole(told: Plain, name: str) -> int | None:
    value = told.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31):
        return value
    raise BadBundle(f"{name} is not a whole number above 0.")


def moment(told: Plain, name: str) -> datetime | None:
    """A date or time; without an offset it is UTC."""
    value = told.get(name)
    if value in (None, ""):
        return None
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value.strip().replace("/", "-"))
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day)
    except ValueError as error:
        raise BadBundle(f"{name} is not a date: {value}") from error
    if not isinstance(value, datetime):
        raise BadBundle(f"{name} is not a date.")
    return value if value.tzinfo else value.replace(tzinfo=UTC)
