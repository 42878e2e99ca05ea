"""What people command: begin a drafting, decide on drafts, make a dataset of the approved ones.

Drafts come into being when someone looks (`drafts_collect`): responses are in the run, which the engine
executes; reading them needs no worker of its own and loses nothing.
"""

import secrets
from collections.abc import Sequence
from typing import Any

from django.core.cache import cache
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from datasets.importing import ImportResult, clean_name
from datasets.mapping import FieldUse
from datasets.problems import ImportProblems
from generation.beginning import (
    MOST_WANTED,
    GenerationProblems,
    Wish,
    check_wish,
    documents_of,
    drafting_launch,
    rows_import,
)
from generation.documents import label_of
from generation.duplicates import folded, nearest
from generation.models import Draft, DraftState, Generation, Stage
from generation.parsing import LONGEST, drafts_in
from generation.reading import is_silent, kept_wish
from generation.selectors import drafting_models
from generation.tasks import read
from judges.templating import check_template
from runs.models import Trial, TrialState
from workspaces import audit
from workspaces.access import Access
from workspaces.services import Refused

__all__ = ["GenerationProblems", "Wish", "generation_begin", "generation_expect"]

READ_AT_ONCE = 200
RESUMED_EVERY_S = 30
DRAFT_FIELDS = (
    FieldUse("question", "prompt"),
    FieldUse("reference", "reference"),
    FieldUse("document", "section"),
    FieldUse("id", "id"),
    FieldUse("metadata", "metadata"),
)
CHOICE_FIELDS = (FieldUse("choices", "choices"),)


# Beginning


def generation_begin(access: Access, wish: Wish) -> Generation:
    """Reads the documents here and launches the drafting, as at the terminal. Raises GenerationProblems."""
    check_wish(wish)
    begun = drafting_launch(access, wish, documents_of(wish.files))
    with transaction.atomic():
        generation = Generation.objects.create(
            workspace=access.workspace, name=clean_name(wish.name), run=begun.run, wanted=wish.wanted,
            model_name=begun.run.config["model"]["name"], template=wish.template, documents=begun.facts,
            created_by=access.actor,
        )  # fmt: skip
        _note_begun(access, generation)
    return generation


def generation_expect(access: Access, wish: Wish) -> Generation:
    """Keeps the documents for a worker, which reads them and launches the drafting. Raises GenerationProblems
    for what can be told at once; what the documents hold is told later, as the generation's problems."""
    check_wish(wish)
    problems: dict[str, list[str]] = {}
    models = {model.pk: model for model in drafting_models(access.workspace)}
    if wish.model_id not in models:
        problems["model"] = ["Choose a model that can be called."]
    if faults := check_template(wish.template):
        problems["template"] = [str(fault) for fault in faults]
    try:
        name = clean_name(wish.name)
    except ImportProblems as error:
        problems["name"] = [each.reason for each in error.problems]
    if problems or wish.model_id is None:
        raise GenerationProblems(problems)
    generation = Generation(
        workspace=access.workspace, name=name, model_name=models[wish.model_id].name, wanted=wish.wanted,
        template=wish.template, wish=kept_wish(wish), stage=Stage.READING, created_by=access.actor,
        token=secrets.token_urlsafe(24),
        documents=[{"name": label_of(name), "size_bytes": len(data)} for name, data in wish.files],
    )  # fmt: skip
    try:
        generation.folder.mkdir(parents=True, mode=0o700)
        for number, (_, data) in enumerate(wish.files):
            generation.file(number).write_bytes(data)
        with transaction.atomic():
            generation.save(force_insert=True)
            _note_begun(access, generation)
            read.delay_on_commit(generation.pk)
    except BaseException:
        generation.files_remove()
        raise
    return generation


def _note_begun(access: Access, generation: Generation) -> None:
    audit.record(
        access, "generation.begin", generation.name, generation=generation.pk,
        documents=len(generation.documents), wanted=generation.wanted,
    )  # fmt: skip


def reading_resume(generation: Generation) -> None:
    """Has the documents read by another worker, where one fell silent. Safe to repeat."""
    if is_silent(generation) and cache.add(f"generation-read:{generation.pk}", 1, timeout=RESUMED_EVERY_S):
        read.delay_on_commit(generation.pk)


# Drafts


def drafts_collect(generation: Generation) -> int:
    """Reads some of the responses that have come in since; returns how many. Safe to repeat."""
    if not generation.run_id:
        return 0
    done = Trial.objects.filter(run_id=generation.run_id, state=TrialState.DONE)
    if done.count() <= len(generation.readings):
        return 0
    with transaction.atomic():
        held = Generation.objects.select_for_update().get(pk=generation.pk)
        known = [int(seq) for seq in held.readings]
        trials = list(done.exclude(seq__in=known).select_related("item").order_by("seq")[:READ_AT_ONCE])
        _read(held, trials)
        Generation.objects.filter(pk=held.pk).update(readings=held.readings)
    generation.readings = held.readings
    return len(trials)


def _read(generation: Generation, trials: Sequence[Trial]) -> None:
    earlier = list(generation.drafts.order_by("number").values_list("number", "question"))
    numbers = [number for number, _ in earlier]
    compared = [folded(question) for _, question in earlier]
    made: list[Draft] = []
    for trial in trials:
        found, problem = drafts_in(trial.response)
        generation.readings[str(trial.seq)] = problem
        for each in found:
            number = (numbers[-1] if numbers else 0) + 1
            if number > 2 * MOST_WANTED:
                break
            question = folded(each.question)
            near = nearest(question, compared)
            place = trial.item.metadata
            made.append(
                Draft(
                    generation=generation,
                    number=number,
                    question=each.question,
                    reference=each.reference,
                    choices=each.choices,
                    document=str(place.get("document", trial.section))[:200],
                    passage=int(place.get("passage", 1)),
                    seq=trial.seq,
                    similar_to=numbers[near[0]] if near else None,
                    similarity=near[1] if near else None,
                )
            )
            numbers.append(number)
            compared.append(question)
    Draft.objects.bulk_create(made, batch_size=500)


def draft_decide(access: Access, draft: Draft, state: DraftState) -> None:
    """Approves, drops or reopens."""
    draft.state, draft.decided_by, draft.decided_at = state, access.actor, timezone.now()
    draft.save(update_fields=["state", "decided_by", "decided_at"])


def draft_edit(
    access: Access, draft: Draft, *, question: str, reference: str, choices: Sequence[str] = ()
) -> None:
    """Changes its words and approves it. Raises Refused."""
    texts = [question.strip(), reference.strip(), *(choice.strip() for choice in choices)]
    if not texts[0] or not texts[1]:
        raise Refused("A question and a reference are needed.")
    if any(len(text) > LONGEST or "\0" in text for text in texts):
        raise Refused(f"At most {LONGEST:,} characters each, without NUL characters.")
    kept = [choice for choice in texts[2:] if choice]
    if len(kept) == 1 or len(kept) > 26:
        raise Refused("Give 2 to 26 choices, one a line, or none.")
    before = (draft.question, draft.reference, draft.choices)
    draft.question, draft.reference, draft.choices = texts[0], texts[1], kept
    draft.edited = draft.edited or before != (draft.question, draft.reference, draft.choices)
    draft.save(update_fields=["question", "reference", "choices", "edited"])
    draft_decide(access, draft, DraftState.APPROVED)


def drafts_decide(access: Access, drafts: QuerySet[Draft], state: DraftState) -> int:
    """Decides on many at once; returns how many."""
    return drafts.update(state=state, decided_by=access.actor, decided_at=timezone.now())


# The dataset


def generation_publish(
    access: Access, generation: Generation, *, name: str = "", note: str = ""
) -> ImportResult:
    """The approved drafts as the next version of a dataset, each with where it comes from. Raises Refused."""
    drafts = generation.drafts.filter(state=DraftState.APPROVED).order_by("number")
    if not drafts.exists():
        raise Refused("Approve at least one draft first.")
    words = note.strip() or f"Drafted by {generation.model_name}"
    try:
        made = rows_import(
            access,
            name.strip() or generation.name,
            (_published(generation, draft) for draft in drafts.iterator()),
            (*DRAFT_FIELDS, *CHOICE_FIELDS) if drafts.exclude(choices=[]).exists() else DRAFT_FIELDS,
            {"kind": "drafts", "generation": generation.pk, "model": generation.model_name},
            words,
        )
    except ImportProblems as error:
        raise Refused("; ".join(str(each) for each in error.problems[:5])) from error
    with transaction.atomic():
        Generation.objects.filter(pk=generation.pk).update(version=made.version)
        audit.record(
            access, "generation.publish", generation.name, version=made.version.pk,
            items=made.version.item_count,
        )  # fmt: skip
    return made


def _published(generation: Generation, draft: Draft) -> dict[str, Any]:
    """A draft as a row; its choices only where it has some."""
    origin = {
        "document": draft.document,
        "passage": draft.passage,
        "drafted_by": generation.model_name,
        "generation": generation.pk,
        "edited": draft.edited,
    }
    row = {
        "id": f"g{generation.pk}-{draft.number}",
        "question": draft.question,
        "reference": draft.reference,
        "document": draft.document[:120],
        "metadata": origin,
    }
    return row | ({"choices": draft.choices} if draft.choices else {})


def generation_delete(access: Access, generation: Generation) -> None:
    """Removes the drafts; the run, the passages and what was published stay."""
    with transaction.atomic():
        audit.record(access, "generation.delete", generation.name, drafts=generation.drafts.count())
        transaction.on_commit(generation.files_remove)
        generation.delete()
