"""Mean and spread of each item over its variants, as CSV."""

from collections.abc import Iterator

from evalportal.lib.csv_safety import csv_lines
from runs.exports import Export
from runs.models import Run
from runs.selectors_spread import every_item

COLUMNS = ("position", "item_id", "section", "mean", "sd", "lowest", "highest", "flips")


def spread_csv(run: Run) -> Iterator[bytes]:
    """A row an item by the run's first scorer; then a column for each variant. A run without variations has
    one value an item."""
    titles = run.variants.titles
    yield "".join(csv_lines([[*COLUMNS, *titles]])).encode()
    for row in every_item(run, next(iter(run.scorer_names), "")):
        flips = row.get("flips")
        cells = [row.get(name) for name in COLUMNS[:-1]] + ["" if flips is None else str(flips).lower()]
        values = [*row.get("values", ()), *[None] * len(titles)][: len(titles)]
        yield "".join(csv_lines([[*cells, *values]])).encode()


SPREAD = Export("variations.csv", "text/csv; charset=utf-8", spread_csv)
