"""Prometheus's text format (exposition format 0.0.4): a few lines, so no library writes them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Sample = tuple[Mapping[str, str], float]


@dataclass(frozen=True)
class Family:
    """One metric: `kind` is gauge or counter; a sample is its labels and value. Unknown values have none."""

    name: str
    kind: str
    meaning: str
    samples: Iterable[Sample]


def single(name: str, kind: str, meaning: str, value: float | None) -> Family:
    return Family(name, kind, meaning, [] if value is None else [({}, value)])


def written(families: Iterable[Family]) -> str:
    return "".join(line + "\n" for family in families for line in lines_of(family))


def lines_of(family: Family) -> Iterable[str]:
    yield f"# HELP {family.name} {escaped(family.meaning)}"
    yield f"# TYPE {family.name} {family.kind}"
    for labels, value in family.samples:
        pairs = ",".join(f'{name}="{escaped(text, quotes=True)}"' for name, text in labels.items())
        yield f"{family.name}{{{pairs}}} {value:.15g}" if pairs else f"{family.name} {value:.15g}"


def escaped(text: str, quotes: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text
