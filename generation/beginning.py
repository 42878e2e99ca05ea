"""Beginning a drafting: what may be wished for, documents as passages, the run that asks about them."""

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.db import transaction

from datasets.importing import ImportResult, clean_name, version_import
from datasets.mapping import FieldUse
from datasets.mapping import Mapping as FieldMapping
from datasets.problems import ImportProblems
from generation.documents import MOST_DOCUMENTS, MOST_TOGETHER, BadDocument, Document, document_of
from generation.passages import (
    LARGEST_PASSAGE,
    SMALLEST_PASSAGE,
    USUAL_PASSAGE,
    Passage,
    passages_of,
    shared_out,
)
from generation.prompts import PROMPTS
from runs.models import Run
from runs.services import Launch, LaunchProblems, launch
from workspaces.access import Access

MOST_WANTED = 3_000
NAMES = {"model_ids": "model", "dataset_version_id": "files"}
PASSAGE_FIELDS = (
    FieldUse("text", "prompt"),
    FieldUse("document", "section"),
    FieldUse("id", "id"),
    FieldUse("metadata", "metadata"),
)
PASSAGES = {"kind": "passages"}  # of a version's origin: the launch sheet lists it last


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


def check_wish(wish: Wish) -> None:
    """Raises GenerationProblems for what can be told before the documents are read."""
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


def documents_of(
    files: Iterable[tuple[str, bytes]], on_read: Callable[[int], None] = lambda count: None
) -> list[Document]:
    """The documents' text; `on_read(count)` is told after each, and may raise. Raises GenerationProblems."""
    documents: list[Document] = []
    bad: list[str] = []
    for count, (source_name, data) in enumerate(files, start=1):
        try:
            document = document_of(source_name, data)
        except BadDocument as error:
            bad.append(f"{source_name}: {error}.")
        else:
            if document.name in {each.name for each in documents}:
                bad.append(f"{document.name}: two documents have this name.")
            documents.append(document)
        on_read(count)
    if bad:
        raise GenerationProblems({"files": bad})
    return documents


@dataclass(frozen=True)
class Begun:
    """A drafting's run, and what its documents hold: [{"name", "characters", "passages"}]."""

    run: Run
    facts: list[dict[str, Any]]


def drafting_launch(
    access: Access,
    wish: Wish,
    documents: Sequence[Document],
    keep: Callable[[Begun], None] = lambda begun: None,
) -> Begun:
    """Keeps the passages as a dataset, and launches the run that asks about them; `keep(begun)` is called in
    the launch's transaction, and may raise. Raises GenerationProblems; then nothing is begun, though passages
    that were read may stay as a dataset."""
    by_document = [passages_of(each.name, each.text, wish.passage_characters) for each in documents]
    facts = [
        {"name": each.name, "characters": len(each.text), "passages": len(passages)}
        for each, passages in zip(documents, by_document, strict=True)
    ]
    passages = shared_out([passage for found in by_document for passage in found], wish.wanted)
    try:
        name = clean_name(wish.name)
        title = f"{name[:108]} (passages)"
        found = rows_import(access, title, _passage_rows(passages), PASSAGE_FIELDS, PASSAGES)
        with transaction.atomic():
            begun = Begun(launch(access, _drafting(wish, name, found.version.pk)).runs.get(), facts)
            keep(begun)
    except ImportProblems as error:
        raise GenerationProblems({"name": [each.reason for each in error.problems]}) from error
    except LaunchProblems as error:
        named = {NAMES.get(key, key): texts for key, texts in error.problems.items()}
        raise GenerationProblems(named) from error
    return begun


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


def _passage_rows(passages: Iterable[Passage]) -> Iterable[dict[str, Any]]:
    for each in passages:
        place = {"document": each.document, "passage": each.number}
        yield {
            "text": each.text,
            "document": each.document,
            "id": f"{each.document}#{each.number}",
            "metadata": {**place, "count": each.count},
        }


def rows_import(
    access: Access,
    name: str,
    rows: Iterable[dict[str, Any]],
    fields: Sequence[FieldUse],
    origin: dict[str, Any],
    note: str = "",
) -> ImportResult:
    """A version of these rows, by the same way as a file of them. Raises ImportProblems."""
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
