"""What is read of a run that people answer by hand: prompts as text, answers, what is left."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import QuerySet

from runs.models import HandAnswer, Run, Trial
from runs.selectors_pages import prompt_of_trial

AT_ONCE = 500


@dataclass(frozen=True)
class Standing:
    """How far the filling in is."""

    total: int
    answered: int

    @property
    def left(self) -> int:
        return self.total - self.answered


@dataclass(frozen=True)
class HandPrompt:
    """One prompt with what is filled in for it, and its neighbours' numbers."""

    seq: int
    section: str
    text: str
    answer: HandAnswer | None
    previous: int | None
    following: int | None
    next_open: int | None

    @property
    def mark(self) -> str:
        return self.answer.mark if self.answer else ""


def standing(run: Run) -> Standing:
    """One query."""
    return Standing(run.total, HandAnswer.objects.filter(run=run).count())


def text_of_prompt(run: Run, trial: Trial) -> str:
    """What is pasted into the website; needs the trial's item. Several messages are told apart by role."""
    messages = prompt_of_trial(run, trial).messages
    if len(messages) == 1:
        return str(messages[0]["content"])
    return "\n\n".join(f"{str(each['role']).capitalize()}:\n{each['content']}" for each in messages)


def prompts_of(run: Run) -> Iterator[tuple[int, str]]:
    """(number, text) of every prompt, by keyset."""
    last = 0
    while True:
        rows = list(_with_item(run).filter(seq__gt=last).order_by("seq")[:AT_ONCE])
        yield from ((trial.seq, text_of_prompt(run, trial)) for trial in rows)
        if len(rows) < AT_ONCE:
            return
        last = rows[-1].seq


def _with_item(run: Run) -> QuerySet[Trial]:
    return Trial.objects.filter(run=run).select_related("item").defer("item__responses", "item__references")


def hand_prompt(run: Run, seq: int | None) -> HandPrompt | None:
    """The prompt of that number, or the first one without an answer; three queries."""
    first = seq or next_open(run, 0) or 1
    trial = _with_item(run).select_related("hand_answer__answered_by").filter(seq=first).first()
    if trial is None:
        return None
    return HandPrompt(
        seq=trial.seq,
        section=trial.section,
        text=text_of_prompt(run, trial),
        answer=getattr(trial, "hand_answer", None),
        previous=trial.seq - 1 or None,
        following=trial.seq + 1 if trial.seq < run.total else None,
        next_open=next_open(run, trial.seq),
    )


def next_open(run: Run, after: int) -> int | None:
    """The next number without an answer, from the start again after the last; None when all have one."""
    free = Trial.objects.filter(run=run, hand_answer=None).order_by("seq").values_list("seq", flat=True)
    return free.filter(seq__gt=after).first() or free.filter(seq__lt=after).first()
