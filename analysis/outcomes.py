"""A run's verdicts by one scorer as arrays, a row per item: one query, kept while the run is unchanged.

The database packs each column into one text, so that 100,000 trials cost no Python object each.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from django.db.models import Aggregate, Case, FilteredRelation, IntegerField, Q, TextField, Value, When
from django.db.models.functions import MD5, Cast, Coalesce, Concat, Length, Replace
from django.db.models.lookups import LessThanOrEqual

from analysis.kept import kept
from analysis.stats.results import Floats, Integers
from datasets.models import Item, ItemAsset
from runs.metrics import sums_by_scorer
from runs.models import Run, Trial, TrialState

Words = npt.NDArray[np.bytes_]
SHORT_ANSWER = 32
"""Characters that are told apart as they are; longer answers by their digest."""
SEPARATOR = Value("\x1f", output_field=TextField())


class Packed(Aggregate):
    """All values of a column as one comma-separated text, '' without rows; packs made together align.

    The values must not be null (they would be skipped) nor hold commas.
    """

    function = "GROUP_CONCAT"
    output_field = TextField()

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        template = "STRING_AGG((%(expressions)s)::text, ',')"
        return self.as_sql(compiler, connection, template=template, **extra)


class Code(IntEnum):
    """What became of a trial, or of an item at best over its epochs: the smallest of its trials'."""

    WRONG = 0
    RIGHT = 1
    VALUE = 2
    UNSCORED = 3
    ERRORED = 4
    CANCELED = 5
    WAITING = 6


@dataclass(frozen=True, slots=True)
class Outcomes:
    """One run under one scorer; (n,) arrays by ascending item id. Do not change them: they are shared.

    `right` is the share of scored epochs that passed, `value` the mean score; both NaN where no epoch
    was scored. `verdicts`: every score comes with a pass or a fail. `scored` counts trials.
    """

    items: Integers
    right: Floats
    value: Floats
    code: npt.NDArray[np.int8]
    verdicts: bool
    scored: int
    epochs: int


def outcomes_of(run: Run, scorer: str) -> Outcomes:
    """One query, or none while the run is as it was. Needs the run's tallies prefetched."""
    sums = sums_by_scorer(run.tallies.all()).get(scorer)
    plain = bool(sums and sums.binary and run.scorer_names[:1] == [scorer])
    found = _kept_outcomes(run, scorer, plain)
    if plain and sums and found.scored < sums.scored:  # some have a value but no verdict
        return _kept_outcomes(run, scorer, False)
    return found


def originals_of(run: Run, scorer: str) -> Outcomes:
    """The same over the epochs of the original alone: a variant is another prompt, not another epoch."""
    if not run.variants.variants:
        return outcomes_of(run, scorer)
    last = run.variants.epochs
    return kept.of(("originals", *same(run), scorer), lambda: _outcomes(run.pk, scorer, last))


def _kept_outcomes(run: Run, scorer: str, plain: bool) -> Outcomes:
    if plain:
        return _passed_over(run)[0]
    return kept.of(("outcomes", *same(run), scorer), lambda: _outcomes(run.pk, scorer))


def _passed_over(run: Run) -> tuple[Outcomes, npt.NDArray[np.int32]]:
    return kept.of(("trials", *same(run)), lambda: _trials(run.pk))


def same(run: Run) -> tuple[int, datetime, int]:
    """What tells an unchanged run."""
    return run.pk, run.created_at, run.sequence


def _trials(run_id: int) -> tuple[Outcomes, npt.NDArray[np.int32]]:
    """By the verdict that trials carry, and ascending latencies: one pass over the rows: rows cost most."""
    packed = Trial.objects.filter(run=run_id).aggregate(
        items=Packed("item_id"), codes=Packed(_code("")), latencies=Packed(Coalesce("latency_ms", Value(-1)))
    )
    codes, latencies = packed_integers(packed["codes"]), packed_integers(packed["latencies"])
    made = latencies[(codes <= Code.UNSCORED) & (latencies >= 0)].astype(np.int32)
    return _by_item(packed_integers(packed["items"]), codes, codes.astype(np.float64)), np.sort(made)


def _outcomes(run_id: int, scorer: str, last_turn: int | None = None) -> Outcomes:
    trials = Trial.objects.filter(run=run_id).order_by()
    if last_turn:
        trials = trials.filter(epoch__lte=last_turn)
    trials = trials.annotate(verdict=FilteredRelation("scores", condition=Q(scores__scorer=scorer)))
    packed = trials.aggregate(
        items=Packed("item_id"),
        codes=Packed(_code("verdict__")),
        values=Packed(Coalesce("verdict__value", Value(0.0))),
    )
    return _by_item(
        packed_integers(packed["items"]), packed_integers(packed["codes"]), _floats(packed["values"])
    )


def _code(source: str) -> Case:
    passed = f"{source}passed"
    scored = When(**{f"{source}value__isnull": False}, then=Value(int(Code.VALUE))) if source else None
    return Case(
        When(state=TrialState.ERRORED, then=Value(int(Code.ERRORED))),
        When(state=TrialState.CANCELED, then=Value(int(Code.CANCELED))),
        When(~Q(state=TrialState.DONE), then=Value(int(Code.WAITING))),
        When(**{passed: True}, then=Value(int(Code.RIGHT))),
        When(**{passed: False}, then=Value(int(Code.WRONG))),
        *([scored] if scored else []),
        default=Value(int(Code.UNSCORED)),
        output_field=IntegerField(),
    )


def _by_item(trial_items: Integers, codes: Integers, values: Floats) -> Outcomes:
    """Means over the scored epochs of each item."""
    items, at, epochs = np.unique(trial_items, return_inverse=True, return_counts=True)
    scored = codes <= Code.VALUE
    count = np.bincount(at[scored], minlength=len(items)).astype(np.float64)
    count[count == 0] = np.nan
    judged = codes <= Code.RIGHT
    best = np.full(len(items), int(Code.WAITING), dtype=np.int8)
    np.minimum.at(best, at, codes.astype(np.int8))
    right = np.bincount(at[scored], weights=(codes == Code.RIGHT)[scored], minlength=len(items)) / count
    value = np.bincount(at[scored], weights=values[scored], minlength=len(items)) / count
    return Outcomes(
        items=items,
        right=right,
        value=right if np.array_equal(right, value, equal_nan=True) else value,
        code=best,
        verdicts=bool((judged == scored).all()),
        scored=int(scored.sum()),
        epochs=int(epochs.max()) if len(items) else 0,
    )


def packed_integers(text: str | None) -> Integers:
    """What `Packed` made of a column of whole numbers."""
    return np.fromstring(text or "", dtype=np.int64, sep=",")


def _floats(text: str | None) -> Floats:
    return np.fromstring(text or "", dtype=np.float64, sep=",")


def answers_of(run: Run, scorer: str) -> tuple[Integers, Integers]:
    """Ascending item ids and a hash of the answer read out in the first epoch, 0 where there is none.

    Hashes hold within this process alone.
    """
    first = run.scorer_names[:1] == [scorer]
    return kept.of(("answers", *same(run), scorer), lambda: _answers(run.pk, "" if first else scorer))


def _answers(run_id: int, scorer: str) -> tuple[Integers, Integers]:
    """Without a scorer, what trials carry of the first one."""
    trials = Trial.objects.filter(run=run_id, epoch=1).order_by()
    trials = trials.filter(scores__scorer=scorer) if scorer else trials.filter(state=TrialState.DONE)
    answer = "scores__answer" if scorer else "answer"
    plain = Replace(answer, Value(","), SEPARATOR, output_field=TextField())
    short = LessThanOrEqual(Length(answer), SHORT_ANSWER)
    digest = Case(When(short, then=plain), default=MD5(answer), output_field=TextField())
    packed = trials.aggregate(items=Packed("item_id"), answers=Packed(digest))
    items = packed_integers(packed["items"])
    words = packed["answers"].split(",") if len(items) else []
    hashes = np.fromiter(map(hash, words), dtype=np.int64, count=len(words))
    order = np.argsort(items)
    return items[order], hashes[order]


def sections_of(run: Run) -> tuple[list[str], Integers, Integers]:
    """Names in the dataset's order, ascending item ids, and each item's section as a number.

    Of the whole version where the run holds as much, which other runs then share; else of the run.
    One query, then none: items stay. Loads the dataset version.
    """
    version = run.dataset_version
    known = tuple(section["name"] for section in version.sections)
    if version.item_count <= run.total:
        rows = Item.objects.filter(version=version.pk).order_by().values("section")
        key: tuple[Any, ...] = ("sections", "version", version.pk, version.created_at)
        return kept.of((*key, known), lambda: _sections(rows.annotate(items=Packed("id")), known))
    trials = Trial.objects.filter(run=run.pk, epoch=1).order_by().values("section")
    key = ("sections", "run", run.pk, run.created_at, run.trials_made)
    return kept.of((*key, known), lambda: _sections(trials.annotate(items=Packed("item_id")), known))


def _sections(rows: Iterable[Any], known: tuple[str, ...]) -> tuple[list[str], Integers, Integers]:
    found = {row["section"]: packed_integers(row["items"]) for row in rows}
    names = [name for name in known if name in found] + sorted(set(found) - set(known))
    items = np.concatenate([found[name] for name in names]) if names else np.zeros(0, dtype=np.int64)
    codes = np.repeat(np.arange(len(names)), [len(found[name]) for name in names])
    order = np.argsort(items)
    return names, items[order], codes[order]


def latencies_of(run: Run) -> npt.NDArray[np.int32]:
    """Ascending, in ms, of the calls that were made and accepted; one query, then none."""
    return _passed_over(run)[1]


def contents_of(version_id: int, made: datetime) -> tuple[Integers, Words]:
    """Ascending item ids of a frozen version and what each holds, as a digest: two queries, then kept."""
    return kept.of(("contents", version_id, made), lambda: _contents(version_id))


def _contents(version_id: int) -> tuple[Integers, Words]:
    """By the database.

    Input, choices, references and images count; the id, section and metadata don't. A second item of
    the same content gets a digest of its own, so that n-th meets n-th in another version.
    """
    parts = [
        part for name in ("prompt", "messages", "choices", "references") for part in (_text(name), SEPARATOR)
    ]
    packed = (
        Item.objects.filter(version=version_id)
        .order_by()
        .aggregate(items=Packed("id"), words=Packed(MD5(Concat(*parts, output_field=TextField()))))
    )
    items = packed_integers(packed["items"])
    words = np.array(packed["words"].split(",") if packed["words"] else [], dtype="S32")
    order = np.argsort(items)
    items, words = items[order], words[order]
    images = ItemAsset.objects.filter(item__version=version_id).order_by("item_id", "position")
    for item_id, digest in images.values_list("item_id", "asset__sha256"):
        at = int(np.searchsorted(items, item_id))
        words[at] = _mixed(words[at], digest.encode())
    return items, _told_apart(words)


def _text(name: str) -> Coalesce:
    return Coalesce(Cast(name, TextField()), Value("", output_field=TextField()))


def _mixed(word: bytes, other: bytes) -> bytes:
    return hashlib.md5(word + other, usedforsecurity=False).hexdigest().encode()


def _told_apart(words: Words) -> Words:
    """Repeats of a word get words of their own, by their turn."""
    order = np.argsort(words, kind="stable")
    turn, last = 0, -1
    for at in np.flatnonzero(words[order][1:] == words[order][:-1]) + 1:
        turn, last = (turn + 1 if at == last + 1 else 1), int(at)
        words[order[at]] = _mixed(bytes(words[order[at]]), str(turn).encode())
    return words


def forget() -> None:
    """Empties what this process keeps."""
    kept.forget()
