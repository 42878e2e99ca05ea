"""Paraphrases of a version's items: a model drafts them as a run over the version, people decide on each.

The drafting is an ordinary run with a template and a label of its own (docs/adr/0007-query-generation.md says
why); its responses become drafts when someone looks (`paraphrases_collect`), once each.
"""

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Max, Q, QuerySet
from django.utils import timezone

from datasets.models import DatasetVersion, Item, Paraphrase
from generation.parsing import LONGEST, json_values
from runs.models import FINISHED_STATUSES, Run, Trial, TrialState
from runs.services import Launch, LaunchProblems, launch
from runs.variations import DRAFTING_LABEL
from workspaces import audit
from workspaces.access import Access
from workspaces.services import Refused

MOST_WANTED = 10
READ_AT_ONCE = 500
SAME_CLICK = timedelta(seconds=30)
TEMPLATE = """Write {count} other ways to ask the question below. Keep its meaning, its difficulty and \
everything that is needed to answer it: numbers, names, units, code, choices, the form of the answer. Do not \
answer it.

Answer with JSON alone, a list of exactly {count} texts: ["…"]

Question:
{{{{ input }}}}"""
State = Paraphrase.State


def paraphrases_begin(
    access: Access,
    version: DatasetVersion,
    *,
    model_id: int | None,
    count: int,
    limit: int | None = None,
    cost_ceiling: Decimal | None = None,
) -> Run:
    """Launches the drafting. Raises Refused, also while one like it is under way or was just begun."""
    if not 1 <= count <= MOST_WANTED:
        raise Refused(f"From 1 to {MOST_WANTED} paraphrases of an item.")
    wish = Launch(
        dataset_version_id=version.pk,
        model_ids=[model_id] if model_id else [],
        scorers=[{"key": "json_valid", "options": {"extract": "after_reasoning"}}],
        template=TEMPLATE.format(count=count),
        label=DRAFTING_LABEL,
        name=f"Paraphrases of {version.dataset.name} v{version.number}",
        limit=limit,
        cost_ceiling=cost_ceiling,
    )
    try:
        with transaction.atomic():
            DatasetVersion.objects.select_for_update(no_key=True).get(pk=version.pk)  # two clicks in turn
            if (twin := _same_drafting(version, wish)) is not None:
                raise Refused(
                    f"Run #{twin.pk} drafts the same: wait for it, or cancel it. Nothing was asked twice."
                )
            return launch(access, wish).runs.get()
    except LaunchProblems as error:
        raise Refused(" ".join(text for texts in error.problems.values() for text in texts)) from error


def _same_drafting(version: DatasetVersion, wish: Launch) -> Run | None:
    """By the same model, under way or begun a moment ago."""
    alike = draftings_of(version).filter(model__in=wish.model_ids, config__template=wish.template)
    alike = alike.filter(Q(created_at__gt=timezone.now() - SAME_CLICK) | ~Q(status__in=FINISHED_STATUSES))
    return next((run for run in alike[:20] if run.config["limit"] == wish.limit), None)


def draftings_of(version: DatasetVersion) -> QuerySet[Run]:
    """Newest first."""
    return Run.objects.filter(dataset_version=version, label=DRAFTING_LABEL, judged=None).order_by("-id")


def paraphrases_collect(version: DatasetVersion) -> int:
    """Reads some of the responses that have come in since; returns how many. Safe to repeat."""
    runs = list(draftings_of(version)[:20])
    read = 0
    for run in runs:
        if run.done:
            read += _collect(version, run)
    return read


def _collect(version: DatasetVersion, run: Run) -> int:
    with transaction.atomic():
        Run.objects.select_for_update().get(pk=run.pk)  # two who look read in turn
        known = Paraphrase.objects.filter(run_id=run.pk).order_by().values("seq")
        trials = Trial.objects.filter(run=run, state=TrialState.DONE, epoch=1).exclude(seq__in=known)
        found = list(trials.select_related("item").order_by("seq")[:READ_AT_ONCE])
        name = run.config["model"]["name"]
        made = [
            Paraphrase(item=trial.item, text=text, state=state, model_name=name, run_id=run.pk, seq=trial.seq)
            for trial in found
            for text, state in _read(trial)
        ]
        Paraphrase.objects.bulk_create(made, batch_size=500)
    return len(found)


def _read(trial: Trial) -> Iterator[tuple[str, Paraphrase.State]]:
    """Its texts to decide on; those that only repeat the question or each other are left out."""
    texts, problem = texts_in(trial.response)
    same = _plain(trial.item.prompt)
    fresh = list({_plain(text): text for text in reversed(texts) if _plain(text) != same}.values())
    for text in fresh[::-1][:MOST_WANTED]:
        yield text, State.OPEN
    if not fresh:
        yield problem or "it only repeats the question", State.UNREAD


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def texts_in(response: str) -> tuple[list[str], str]:
    """The texts of the JSON in a response, and why there are none."""
    values, problem = json_values(response)
    found = [text for value in values for text in _texts(value, 0)]
    return found, problem or ("" if found else "its JSON holds no text")


def _texts(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        text = value.replace("\0", "").encode(errors="ignore").decode().strip()[:LONGEST]
        if text:
            yield text
    elif depth < 3 and isinstance(value, list | dict):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from _texts(entry, depth + 1)


def paraphrase_approve(access: Access, paraphrase: Paraphrase, text: str = "") -> None:
    """As it is, or as edited; it gets the next number of its item. Raises Refused."""
    text = text.replace("\r\n", "\n").strip() or paraphrase.text
    if len(text) > LONGEST or "\0" in text:
        raise Refused(f"At most {LONGEST:,} characters, without NUL characters.")
    _check_readable(paraphrase)
    with transaction.atomic():
        item = Item.objects.select_for_update().get(pk=paraphrase.item_id)
        held = Paraphrase.objects.get(pk=paraphrase.pk)
        if held.number is not None:
            if text != held.text:
                raise Refused("It was approved already and keeps its words. Withdraw it, and draft another.")
            _decide(access, held, State.APPROVED)
            return
        last = item.paraphrases.aggregate(last=Max("number"))["last"] or 0
        held.edited = held.edited or text != held.text
        held.text, held.number = text, last + 1
        held.save(update_fields=["text", "number", "edited"])
        _decide(access, held, State.APPROVED)


def _check_readable(paraphrase: Paraphrase) -> None:
    if paraphrase.state == State.UNREAD:
        raise Refused("There is nothing to decide: the model's response could not be read.")


def paraphrase_drop(access: Access, paraphrase: Paraphrase) -> None:
    """One that runs may have asked is withdrawn instead. Raises Refused."""
    paraphrase.refresh_from_db(fields=["number", "state"])
    _check_readable(paraphrase)
    _decide(access, paraphrase, State.WITHDRAWN if paraphrase.number else State.DROPPED)


def paraphrases_approve(access: Access, version: DatasetVersion, ids: list[int]) -> int:
    """All of these that are open; returns how many."""
    chosen = Paraphrase.objects.filter(item__version=version, state=State.OPEN, pk__in=ids).order_by("pk")
    for paraphrase in chosen:
        paraphrase_approve(access, paraphrase)
    return len(chosen)


def _decide(access: Access, paraphrase: Paraphrase, state: Paraphrase.State) -> None:
    paraphrase.state, paraphrase.decided_by, paraphrase.decided_at = state, access.actor, timezone.now()
    paraphrase.save(update_fields=["state", "decided_by", "decided_at"])
    audit.record(
        access, f"paraphrase.{state}", json.dumps(paraphrase.text[:80], ensure_ascii=False),
        item=paraphrase.item_id, paraphrase=paraphrase.pk,
    )  # fmt: skip
