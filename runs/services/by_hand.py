"""Runs whose answers people fill in: what may be launched so, saving answers, importing packs, scoring."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from datasets.models import Item, ItemAsset
from runs import live
from runs.engine.leases import lock_run
from runs.models import BY_HAND, HandAnswer, LogLine, Run, RunStatus, Trial, TrialState
from runs.packs import BadPack, BadRow, Filled, answer_fault, read_pack, read_rows
from runs.services.control import CannotDo, run_resume, run_retry
from runs.services.wish import Target
from workspaces import audit
from workspaces.access import Access

MOST_PROMPTS = 5_000  # that people fill in
MOST_BYTES = 64 << 20  # of a pack
LONGEST_NAME = 200
WAITS = "Waits for answers that people fill in."


class AnsweredMeanwhile(CannotDo):
    """Someone else has changed the answer since the page was shown."""


@dataclass(frozen=True)
class Imported:
    """What an import did. With bad rows and no leave to leave them out, nothing was saved."""

    saved: int = 0
    same: int = 0
    empty: int = 0
    bad: Sequence[BadRow] = field(default_factory=tuple)
    done: bool = True


# Launching


def named_targets(names: Sequence[str]) -> list[Target]:
    """Models that are known by name only, also names that no model has yet."""
    return [Target(None, name) for name in dict.fromkeys(" ".join(name.split()) for name in names) if name]


def launch_problems(targets: Sequence[Target], prompts: int, items: QuerySet[Item]) -> dict[str, list[str]]:
    """By field of Launch: what people cannot fill in of these items. One query."""
    problems: dict[str, list[str]] = {}
    callable_ones = [target.title for target in targets if target.model and target.model.is_callable]
    if callable_ones:
        words = f"{', '.join(callable_ones)} can be called: only models by name are filled in by hand."
        problems["model_ids"] = [words]
    bad = [target.name for target in targets if len(target.name) > LONGEST_NAME or "\0" in target.name]
    if bad:
        problems["recorded_names"] = [f"A model's name has at most {LONGEST_NAME} characters."]
    if prompts > MOST_PROMPTS:
        words = f"{prompts:,} prompts are more than {MOST_PROMPTS:,}, the most that are filled in by hand."
        problems["limit"] = [words]
    if ItemAsset.objects.filter(item__in=items.values("pk")).exists():
        words = "Some of these items show images; only text is filled in by hand."
        problems["dataset_version_id"] = [f"{words} Choose a subset without them."]
    return problems


def first_status(responses: str) -> dict[str, str]:
    """How a new run stands: one that people fill in waits for them."""
    if responses == BY_HAND:
        return {"status": RunStatus.PAUSED, "status_reason": WAITS}
    return {"status": RunStatus.PENDING, "status_reason": "Waiting for a worker."}


# Answers


def answer_save(access: Access, run: Run, seq: int, text: str, *, seen: str | None = None) -> bool:
    """Keeps the answer to one prompt; an empty one takes it back. Returns whether anything changed.

    `seen` is the mark of the answer that the person was shown; where someone else has given another by
    now, AnsweredMeanwhile is raised. Raises CannotDo once the run is scored, or for text that cannot be kept.
    """
    text = re.sub(r"\r\n?", "\n", text)  # as browsers send it
    if fault := answer_fault(text):
        raise CannotDo(f"{fault.capitalize()}.")
    with transaction.atomic():
        _must_wait(run)
        trial = Trial.objects.filter(run=run, seq=seq).first()
        if trial is None:
            raise CannotDo(f"There is no prompt {seq}.")
        if trial.state != TrialState.PENDING:
            raise CannotDo("This answer is scored already and stays as it is.")
        stands = HandAnswer.objects.filter(trial=trial).first()
        if text == (stands.text if stands else ""):
            return False
        if stands and seen not in (None, stands.mark) and stands.answered_by_id != _id(access):
            raise AnsweredMeanwhile("Someone else has answered this prompt meanwhile. Their answer stands.")
        if text.strip():
            _keep(access, run, {trial.pk: text})
        else:
            HandAnswer.objects.filter(trial=trial).delete()
        _changed(run)
    live.notify(run)
    return True


def pack_import(access: Access, run: Run, data: bytes, *, leave_out: bool = False) -> Imported:
    """Takes the answers of a filled-in pack: all of them, or with `leave_out` those of good rows.
    Raises BadPack, CannotDo."""
    if len(data) > MOST_BYTES:
        raise BadPack(f"The file is larger than {MOST_BYTES >> 20} MB.")
    return _import(access, run, lambda: read_pack(run, data, run.total), leave_out=leave_out)


def answers_import(access: Access, run: Run, rows: list[Any], *, leave_out: bool = False) -> Imported:
    """The same of rows {"number", "answer"} alone. Raises CannotDo."""
    return _import(access, run, lambda: read_rows(run.pk, rows, run.total, signed=False), leave_out=leave_out)


def _import(access: Access, run: Run, read: Callable[[], Filled], *, leave_out: bool) -> Imported:
    with transaction.atomic():
        _must_wait(run)
        filled = read()
        stands = dict(HandAnswer.objects.filter(run=run).values_list("trial__seq", "text"))
        same = {number for number, text in filled.answers.items() if stands.get(number) == text}
        other = sorted(number for number in filled.answers if number in stands and number not in same)
        bad = filled.bad + [BadRow(0, number, "it is answered already, and differently") for number in other]
        if bad and not leave_out:
            return Imported(0, len(same), filled.empty, bad, done=False)
        open_trials = Trial.objects.filter(run=run, state=TrialState.PENDING, hand_answer=None)
        ids = dict(open_trials.values_list("seq", "pk"))
        new = {ids[number]: text for number, text in filled.answers.items() if number in ids}
        _keep(access, run, new)
        _changed(run)
        words = f"{len(new):,} answers imported by {access.actor_label}, {len(bad):,} rows left out"
        _say(run, words)
        audit.record(access, "run.import_answers", f"run {run.pk}", saved=len(new), left_out=len(bad))
    live.notify(run)
    return Imported(len(new), len(same), filled.empty, bad)


def _id(access: Access) -> int | None:
    return access.actor.pk if access.actor else None


def _must_wait(run: Run) -> None:
    """Locks the run. Raises CannotDo unless it waits for answers."""
    if run.config.get("responses") != BY_HAND:
        raise CannotDo("The answers of this run are not filled in by hand.")
    if lock_run(run.pk) != RunStatus.PAUSED:
        raise CannotDo("This run does not wait for answers any more; what was scored stays as it is.")


def _keep(access: Access, run: Run, answers: Mapping[int, str]) -> None:
    now = timezone.now()
    rows = [
        HandAnswer(run=run, trial_id=trial_id, text=text, answered_by=access.actor, answered_at=now)
        for trial_id, text in answers.items()
    ]
    HandAnswer.objects.bulk_create(
        rows,
        batch_size=500,
        update_conflicts=True,
        unique_fields=["trial"],
        update_fields=["text", "answered_by", "answered_at"],
    )


def _changed(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(sequence=F("sequence") + 1)


def _say(run: Run, text: str) -> None:
    LogLine.objects.create(run=run, at=timezone.now(), text=text)


# Scoring


def by_hand_score(access: Access, run: Run) -> None:
    """Scores what is filled in; prompts without an answer become errored, never wrong. Raises CannotDo."""
    with transaction.atomic():
        _must_wait(run)
        people = HandAnswer.objects.filter(run=run).values_list("answered_by__email", flat=True)
        names = sorted({email or "someone" for email in people})
        if not names:
            raise CannotDo("Nothing is filled in yet.")
        _say(run, f"{len(people):,} of {run.total:,} answers filled in by {_listed(names)}")
        run_resume(access, run)


def by_hand_reopen(access: Access, run: Run) -> int:
    """Prompts without an answer can be filled in again; returns how many. Raises CannotDo."""
    with transaction.atomic():
        if run.config.get("responses") != BY_HAND:
            raise CannotDo("The answers of this run are not filled in by hand.")
        count = run_retry(access, run)
        Run.objects.filter(pk=run.pk).update(status=RunStatus.PAUSED, status_reason=WAITS)
    return count


def _listed(names: Iterable[str]) -> str:
    shown = list(names)
    return ", ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")
