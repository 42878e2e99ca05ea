"""Failed attempts of a run: every outbound call that brought no answer, newest first, and their kinds."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import BooleanField, F, QuerySet
from django.db.models.expressions import RawSQL

from runs.models import Attempt, Run
from runs.selectors import Page, keyset_page

# In the words of the partial index `attempt_failed`: SQLite uses it only if they are constants of the query.
FAILED = RawSQL("NOT (runs_attempt.outcome IN ('open', 'ok'))", [], BooleanField())
COUNTED = 20_000
PAGE_ROWS = 50


def failed_attempts(run: Run, kind: str = "") -> QuerySet[Attempt]:
    """With the trial's number, so that rows can link to it. Read by a partial index on (run, id)."""
    found = Attempt.objects.filter(FAILED, run=run)
    return (found.filter(outcome=kind) if kind else found).annotate(
        seq=F("trial__seq"), item=F("trial__item__external_id"), state=F("trial__state"),
        last=F("trial__attempt_count"),
    )  # fmt: skip


def failed_page(run: Run, kind: str, *, before: int | None, after: int | None) -> Page:
    """Newest first, by keyset on the id; one query."""
    return keyset_page(
        failed_attempts(run, kind), key="id", size=PAGE_ROWS, before=before, after=after, descending=True
    )


@dataclass(frozen=True)
class Kinds:
    """(kind, count) of the newest failed attempts, most frequent first. `capped` if there are more."""

    counts: Sequence[tuple[str, int]]
    total: int
    capped: bool


def failed_kinds(run: Run) -> Kinds:
    """Counts the newest COUNTED attempts at most, so that a storm of failures costs no page its speed."""
    newest = Attempt.objects.filter(FAILED, run=run).order_by("-id")[:COUNTED]
    counts = Counter(newest.values_list("outcome", flat=True))
    return Kinds(counts.most_common(), counts.total(), counts.total() == COUNTED)
