"""What a comparison's URL asks for, and back. Everything that a page shows is in its query string."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import quote, urlencode

from django.http import QueryDict

LETTERS = "ABCDEFGH"
GROUPINGS = ("alias", "label", "model")
RIGHT, WRONG = "right", "wrong"
LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, kw_only=True)
class Asked:
    """`runs`, `baseline` and `against` are run ids; `wanted` maps a run's letter to right (True) or wrong.

    `differ` is "", "answer", or "judge:" with the name of a scorer that decides otherwise; `mean` compares
    values instead of passes; `item` is an item id of the first run.
    """

    runs: tuple[int, ...] = ()
    baseline: int | None = None
    against: int | None = None
    scorer: str = ""
    mean: bool = False
    group: str = ""
    wanted: Mapping[str, bool] = field(default_factory=dict)
    section: str | None = None
    differ: str = ""
    item: int | None = None
    after: int | None = None
    before: int | None = None

    @property
    def filters(self) -> bool:
        """Whether items are filtered at all."""
        return bool(self.wanted or self.section is not None or self.differ)

    def query(self, **changes: Any) -> str:
        """The query string of the same page, with some parameters changed; None removes one."""
        values: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self)} | changes
        runs, wanted = values.pop("runs"), values.pop("wanted")
        mean, section = values.pop("mean"), values.pop("section")
        flat = {"runs": ",".join(map(str, runs)), **values, "values": "mean" if mean else None}
        flat["section"] = section or ("-" if section == "" else None)
        flat |= {letter.lower(): RIGHT if right else WRONG for letter, right in wanted.items()}
        kept = {name: value for name, value in flat.items() if value not in (None, "")}
        return "?" + urlencode(kept, safe=",", quote_via=quote)


def asked(query: QueryDict) -> Asked:
    """Reads a query string; what makes no sense counts as not asked."""
    runs = [number for part in ",".join(query.getlist("runs")).split(",") if (number := _whole(part))]
    section, group = query.get("section", ""), query.get("group", "")
    differ = query.get("differ", "")[:90]
    return Asked(
        runs=tuple(dict.fromkeys(runs)),
        baseline=_whole(query.get("baseline")),
        against=_whole(query.get("against")),
        scorer=query.get("scorer", "")[:80],
        mean=query.get("values") == "mean",
        group=group if group in GROUPINGS else "",
        wanted={
            letter: query[letter.lower()] == RIGHT
            for letter in LETTERS
            if query.get(letter.lower()) in (RIGHT, WRONG)
        },
        section=None if not section else "" if section == "-" else section[:120],
        differ=differ if differ == "answer" or differ.startswith("judge:") else "",
        item=_whole(query.get("item")),
        after=_whole(query.get("after")),
        before=_whole(query.get("before")),
    )


def _whole(text: str | None) -> int | None:
    """A positive whole number that a database takes as an id."""
    text = (text or "").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        return None
    return int(text) if 0 < int(text) <= LARGEST_ID else None
