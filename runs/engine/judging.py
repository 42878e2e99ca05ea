"""Judgings: which responses a judge is asked about, and when.

Whoever writes both takes the row of the judged run (or of the opponent) first, then the judging's.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection

from judges.options import read_options
from judges.scorers.semantic import Semantic
from runs.engine.leases import for_update
from runs.engine.rowset import encode, rowset
from runs.models import Run


@dataclass(frozen=True, slots=True)
class Judge:
    """What the engine needs to know of a judging."""

    run_id: int
    judged_id: int
    opponent_id: int | None
    scorer: str
    panel: str
    passes: int
    frozen: Mapping[str, Any]
    semantic: Semantic | None = None  # instead of a judge model's verdict, the likeness of embeddings

    @property
    def compares(self) -> bool:
        return bool(self.frozen["kind"] == "compare")

    def swapped(self, epoch: int) -> bool:
        """Whether this pass asks with A and B in the other order."""
        return swapped(self.frozen, (epoch - 1) % self.passes + 1)

    def place(self, seq: int) -> int:
        """The judged trial's number, from the judging's."""
        return (seq - 1) // self.passes + 1


def swapped(frozen: Mapping[str, Any], number: int) -> bool:
    """Of a pass, from 1: every second one of a judge that compares in both orders."""
    return bool(frozen.get("both_orders")) and number % 2 == 0


def passes_of(frozen: Mapping[str, Any]) -> int:
    """How often a judge is asked for each response."""
    return int(frozen.get("repeats") or 1) * (2 if frozen.get("both_orders") else 1)


def judge_of(run: Run) -> Judge | None:
    """None of a run that is no judging. Loads the judged run."""
    if run.judged is None:
        return None
    return Judge(
        run_id=run.pk,
        judged_id=run.judged.pk,
        opponent_id=run.opponent_id,
        scorer=run.scorer,
        panel=run.panel,
        passes=max(1, run.passes),
        frozen=run.config["judge"],
        semantic=_semantic(run.config["judge"]),
    )


def _semantic(frozen: Mapping[str, Any]) -> Semantic | None:
    """Raises BadOptions."""
    return Semantic(read_options(Semantic, frozen["options"])) if frozen["kind"] == Semantic.key else None


def order(run_id: int, item_ids: Iterable[int] | None = None) -> tuple[int, ...]:
    """Gives the judgings of a run, and those that it is the opponent of, trials for its done responses to
    these items (None: to all); returns the judgings that got some. Safe to repeat.

    In the caller's transaction, which holds the run's row.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT passes FROM runs_run WHERE judged_id = %s OR opponent_id = %s ORDER BY id {for_update()}
            """,  # noqa: S608 (constants only)
            [run_id, run_id],
        )
        passes = [row[0] for row in cursor.fetchall()]
    if not passes:
        return ()
    added = _insert(run_id, max(passes), None if item_ids is None else sorted(set(item_ids)))
    _grow(added)
    return tuple(added)


def _insert(run_id: int, most_passes: int, item_ids: list[int] | None) -> Counter[int]:
    """A comparison waits for both responses: whichever comes second orders its trials."""
    among, given = "", []
    if item_ids is not None:
        among = f"AND mine.item_id IN (SELECT item FROM {rowset({'item': 'bigint'})})"  # noqa: S608
        given = [encode([{"item": pk} for pk in item_ids])]
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH RECURSIVE pass(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM pass WHERE n < %s)
            INSERT INTO runs_trial (run_id, item_id, epoch, seq, section, judged_id, state)
            SELECT judging.id, mine.item_id, (mine.epoch - 1) * judging.passes + pass.n,
                (mine.seq - 1) * judging.passes + pass.n, mine.section, mine.id,
                CASE judging.status WHEN 'canceled' THEN 'canceled' ELSE 'pending' END
            FROM runs_run AS judging
            JOIN runs_trial AS mine ON mine.run_id = judging.judged_id
            JOIN pass ON pass.n <= judging.passes
            WHERE (judging.judged_id = %s OR judging.opponent_id = %s) AND mine.state = 'done' {among}
                AND (judging.opponent_id IS NULL OR EXISTS (
                    SELECT 1 FROM runs_trial AS other
                    WHERE other.run_id = judging.opponent_id AND other.item_id = mine.item_id
                        AND other.epoch = mine.epoch AND other.state = 'done'
                ))
            ORDER BY mine.seq, pass.n
            ON CONFLICT (item_id, run_id, epoch) DO NOTHING
            RETURNING run_id
            """,  # noqa: S608 (constants only)
            [most_passes, run_id, run_id, *given],
        )
        return Counter(row[0] for row in cursor)


def _grow(added: Mapping[int, int]) -> None:
    """A judging that had ended goes on."""
    if not added:
        return
    ended = "status IN ('completed', 'failed')"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE runs_run SET total = total + v.n, sequence = sequence + 1,
                canceled = canceled + CASE status WHEN 'canceled' THEN v.n ELSE 0 END,
                finished_at = CASE WHEN {ended} THEN NULL ELSE finished_at END,
                status_reason = CASE WHEN {ended} THEN '' ELSE status_reason END,
                status = CASE WHEN {ended} THEN 'pending' ELSE status END
            FROM {rowset({"judging": "bigint", "n": "int"})} WHERE runs_run.id = v.judging
            """,  # noqa: S608 (constants only)
            [encode([{"judging": pk, "n": n} for pk, n in added.items()])],
        )
