"""A worker's part: reads the documents of a drafting, then launches its run."""

import logging
from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import F, Q, QuerySet
from django.http import Http404
from django.utils import timezone

from generation.beginning import Begun, GenerationProblems, Wish, documents_of, drafting_launch
from generation.models import Generation, Stage
from workspaces import access
from workspaces.models import Role

SILENT_AFTER = timedelta(seconds=60)
MOST_ATTEMPTS = 3
LOST = "The worker that read the documents was lost three times. Begin again with fewer of them."
log = logging.getLogger(__name__)


class ReadingStopped(Exception):
    """The drafting was deleted, or another worker took it over."""


def kept_wish(wish: Wish) -> dict[str, Any]:
    """What of a wish is kept as JSON beside the files and the generation's own fields."""
    cost = wish.cost_ceiling
    return {
        "model_id": wish.model_id,
        "passage_characters": wish.passage_characters,
        "params": dict(wish.params),
        "cost_ceiling": None if cost is None else str(cost),
        "token_ceiling": wish.token_ceiling,
    }


def _wish(generation: Generation) -> Wish:
    kept = dict(generation.wish)
    cost = kept.pop("cost_ceiling")
    return Wish(
        **kept, name=generation.name, files=(), template=generation.template, wanted=generation.wanted,
        cost_ceiling=None if cost is None else Decimal(cost),
    )  # fmt: skip


def generation_read(generation_id: int) -> None:
    """Reads and launches. A second delivery does nothing while the first worker lives."""
    free = Q(alive_at=None) | Q(alive_at__lt=timezone.now() - SILENT_AFTER)
    claimed = Generation.objects.filter(free, pk=generation_id, stage=Stage.READING).update(
        attempt=F("attempt") + 1, alive_at=timezone.now()
    )
    rows = Generation.objects.select_related("workspace", "created_by")
    generation = rows.filter(pk=generation_id).first()
    if not claimed or generation is None:
        return
    try:
        _read(generation)
    except ReadingStopped:
        return
    except GenerationProblems as error:
        _refuse(generation, [text for texts in error.problems.values() for text in texts])
    except (PermissionDenied, Http404):
        _refuse(generation, ["You may no longer draft in this workspace."])
    except Exception:
        log.exception("the documents of generation %s could not be read", generation.pk)
        _refuse(generation, ["The documents could not be read because of a fault in the portal; try again."])


def _read(generation: Generation) -> None:
    if generation.attempt > MOST_ATTEMPTS:
        raise GenerationProblems({"files": [LOST]})
    held = access.access_for(generation.created_by, generation.workspace.slug, Role.EDITOR)

    def on_read(count: int) -> None:
        if not _mine(generation).update(read_count=count, alive_at=timezone.now()):
            raise ReadingStopped

    def keep(begun: Begun) -> None:
        if not _mine(generation).update(
            stage=Stage.DRAFTING, run=begun.run, model_name=begun.run.config["model"]["name"],
            documents=begun.facts, wish={},
        ):  # fmt: skip
            raise ReadingStopped

    drafting_launch(held, _wish(generation), documents_of(_files(generation), on_read), keep)
    generation.files_remove()


def _files(generation: Generation) -> Iterator[tuple[str, bytes]]:
    for number, document in enumerate(generation.documents):
        yield document["name"], generation.file(number).read_bytes()


def _refuse(generation: Generation, problems: Sequence[str]) -> None:
    if _mine(generation).update(stage=Stage.REFUSED, problems=list(problems)[:100]):
        generation.files_remove()


def _mine(generation: Generation) -> QuerySet[Generation]:
    """The row while this attempt still owns it."""
    return Generation.objects.filter(pk=generation.pk, stage=Stage.READING, attempt=generation.attempt)


def is_silent(generation: Generation) -> bool:
    """Whether a worker should have been heard of by now."""
    heard = generation.alive_at or generation.created_at
    return generation.stage == Stage.READING and timezone.now() - heard > SILENT_AFTER
