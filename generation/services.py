"""What people command: begin a drafting, decide on drafts, make a dataset of the approved ones.

Drafts come into being when someone looks (`drafts_collect`): responses are in the run, which the engine
executes; reading them needs no worker of its own and loses nothing.
"""

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from datasets.importing import ImportResult, clean_name, version_import
from datasets.mapping import FieldUse
from datasets.mapping import Mapping as FieldMapping
from datasets.problems import ImportProblems
from generation.documents import MOST_DOCUMENTS, MOST_TOGETHER, BadDocument, Document, document_of
from generation.duplicates import folded, nearest
from generation.models import Draft, DraftState, Generation
from generation.parsing import LONGEST, drafts_in
from generation.passages import (
    LARGEST_PASSAGE,
    SMALLEST_PASSAGE,
    USUAL_PASSAGE,
    Passage,
    passages_of,
    shared_out,
)
from generation.prompts import PROMPTS
from runs.models import Trial, TrialState
from runs.services import Launch, LaunchProblems, launch
from workspaces import audit
from workspaces.access import Access
from workspaces.services import Refused

MOST_WANTED = 3_000
READ_AT_ONCE = 200
NAMES = {"model_ids": "model", "dataset_version_id": "files"}
PASSAGE_FIELDS = (
    FieldUse("text", "prompt"),
    FieldUse("document", "section"),
    FieldUse("id", "id"),
    FieldUse("metadata", "metadata"),
)
DRAFT_FIELDS = (
    FieldUse("question", "prompt"),
    FieldUse("reference", "reference"),
    FieldUse("document", "section"),
    FieldUse("id", "id"),
    FieldUse("metadata", "metadata"),
)


PASSAGES = {"kind": "passages"}  # of a version's origin: the launch sheet lists it last
CHOICE_FIELDS = (FieldUse("choices", "choices"),)


class GenerationProblems(Exception):
    """It cannot begin; `problems` maps a field to messages."""

    def __init__(self, problems: Mapping[str, Sequence[str]]):
        self.problems = {name: list(texts) for name, texts in problems.items()}
        super().__init__("; ".join(text for texts in self.problems.values() for text in texts))


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is to be drafted. `files` are (name, bytes); the ceilings are the run's, in dollars and tokens."""

    name: str
    files: Sequence[tuple[str, bytes]]
    model_id: int | None
    template: str = PROMPTS["facts"].template
    wanted: int = 20
    passage_characters: int = USUAL_PASSAGE
    params: Mapping[str, Any] = field(default_factory=dict)
    cost_ceiling: Decimal | None = None
    token_ceiling: int | None = None


# Beginning


def generation_begin(access: Access, wish: Wish) -> Generation:
    """Reads the documents and launches the drafting. Raises GenerationProblems; then nothing is begun,
    though passages that were read may stay as a dataset."""
    passages, documents = _passages(wish)
    try:
        name = clean_name(wish.name)
        found = _import(access, f"{name[:108]} (passages)", _passage_rows(passages), PASSAGE_FIELDS, PASSAGES)
        with transaction.atomic():
            evaluation = launch(access, _drafting(wish, name, found.version.pk))
            run = evaluation.runs.get()
            generation = Generation.objects.create(
                workspace=access.workspace, name=name, run=run, model_name=run.config["model"]["name"],
                template=wish.template, wanted=wish.wanted, documents=documents, created_by=access.actor,
            )  # fmt: skip
            audit.record(
                access, "generation.begin", name, run=run.pk, documents=len(documents), wanted=wish.wanted
            )
    except ImportProblems as error:
        raise GenerationProblems({"name": [each.reason for each in error.problems]}) from error
    except LaunchProblems as error:
        named = {NAMES.get(key, key): texts for key, texts in error.problems.items()}
        raise GenerationProblems(named) from error
    return generation


def _drafting(wish: Wish, name: str, version_id: int) -> Launch:
    return Launch(
        dataset_version_id=version_id,
        model_ids=[wish.model_id] if wish.model_id else [],
        scorers=[{"key": "json_valid", "options": {"extract": "after_reasoning"}}],
        template=wish.template,
        params=wish.params,
        label="query generation",
        name=f"Query generation: {name}",
        cost_ceiling=wish.cost_ceiling,
        token_ceiling=wish.token_ceiling,
    )


def _passages(wish: Wish) -> tuple[list[Passage], list[dict[str, Any]]]:
    """The passages to draft from, and what the documents hold. Raises GenerationProblems."""
    problems: dict[str, list[str]] = {}
    if not 1 <= wish.wanted <= MOST_WANTED:
        problems["wanted"] = [f"From 1 to {MOST_WANTED:,}."]
    if not SMALLEST_PASSAGE <= wish.passage_characters <= LARGEST_PASSAGE:
        problems["passage_characters"] = [f"From {SMALLEST_PASSAGE:,} to {LARGEST_PASSAGE:,}."]
    if not wish.files or len(wish.files) > MOST_DOCUMENTS:
        problems["files"] = [f"Choose 1 to {MOST_DOCUMENTS} documents."]
    elif sum(len(data) for _, data in wish.files) > MOST_TOGETHER:
        problems["files"] = [f"Together the documents are larger than {MOST_TOGETHER >> 20} MB."]
    if problems:
        raise GenerationProblems(problems)
    documents, bad = _documents(wish.files)
    if bad:
        raise GenerationProblems({"files": bad})
    by_document = [passages_of(each.name, each.text, wish.passage_characters) for each in documents]
    facts = [
        {"name": each.name, "characters": len(each.text), "passages": len(passages)}
        for each, passages in zip(documents, by_document, strict=True)
    ]
    return shared_out([passage for passages in by_document for passage in passages], wish.wanted), facts


def _documents(files: Sequence[tuple[str, bytes]]) -> tuple[list[Document], list[str]]:
    documents: list[Document] = []
    bad: list[str] = []
    for source_name, data in files:
        try:
            document = document_of(source_name, data)
        except BadDocument as error:
            bad.append(f"{source_name}: {error}.")
            continue
        if document.name in {each.name for each in documents}:
            bad.append(f"{document.name}: two documents have this name.")
        documents.append(document)
    return documents, bad


def _passage_rows(passages: Iterable[Passage]) -> Iterable[dict[str, Any]]:
    for each in passages:
        place = {"document": each.document, "passage": each.number}
        yield {
            "text": each.text,
            "document": each.document,
            "id": f"{each.document}#{each.number}",
            "metadata": {**place, "count": each.count},
        }


def _import(
    access: Access,
    name: str,
    rows: Iterable[dict[str, Any]],
    fields: Sequence[FieldUse],
    origin: dict[str, Any],
    note: str = "",
) -> ImportResult:
    """A version of these rows, by the same way as a file of them."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        file.flush()
        return version_import(
            access,
            path=Path(file.name),
            source_name="drafts.jsonl",
            dataset_name=name,
            mapping=FieldMapping.of(fields),
            note=note,
            origin=origin,
        )


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
        made = _import(
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
        generation.delete()
