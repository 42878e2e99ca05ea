"""The how-to names what there is, and its examples work."""

import json
import re
from pathlib import Path

import pytest

from evalportal.lib.plugins import PluginTable
from judges.extraction import FILTERS
from judges.metrics import METRICS
from judges.options import option_fields
from judges.scorers import SCORERS, Subject, build_scorer

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "score.md").read_text(encoding="utf-8")
CELLS = "\n".join(line for line in TEXT.splitlines() if line.startswith("|"))


@pytest.mark.parametrize("table", [SCORERS, FILTERS, METRICS], ids=lambda table: table.noun)
def test_every_key_is_in_a_table(table: PluginTable) -> None:
    assert [key for key in table if f"`{key}`" not in CELLS] == []


def test_every_option_of_a_filter_is_named() -> None:
    named = {(key, field.name) for key, kind in FILTERS.items().items() for field in option_fields(kind)}
    rows = TEXT.partition("## Find the answer first")[2].partition("\n## ")[0].splitlines()
    lines = {key: next(row for row in rows if row.startswith("|") and f"`{key}`" in row) for key in FILTERS}
    assert [(key, option) for key, option in named if f"`{option}`" not in lines[key]] == []


def test_the_examples_work() -> None:
    blocks = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.DOTALL)
    chain = json.loads(next(block for kind, block in blocks if kind == "json"))
    verdict = build_scorer(chain["key"], chain["options"]).score(Subject("Answer: $65,000", ["65000"]))
    assert " ".join(verdict.explanation.split()) in " ".join(TEXT.split())
    expression = next(block for kind, block in blocks if kind == "text")
    built = build_scorer("python", {"expression": expression})
    assert built.score(Subject("a b", metadata={"limit": 2})).passed
