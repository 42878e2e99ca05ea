"""Items that a run failed, as a new dataset or as chats to fine-tune on, with where they come from."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from datasets.making import dataset_from_items
from datasets.models import DatasetVersion, Item
from runs.models import Run
from runs.selectors import TrialFilter, trials_of
from runs.selectors_pages import prompt_of
from webhooks.models import Delivery
from webhooks.services import push
from workspaces import audit
from workspaces.access import Access
from workspaces.services import Refused

CHUNK = 500
MOST_PUSHED = 20_000  # items that a request writes into a file at once
CHAT_TYPE = "application/x-ndjson"
WARNING = (
    "These items are test items. A model trained on them must not be measured on {dataset} any more, "
    "nor on a dataset that shares them: its score would tell what it remembers."
)


def missed_items(run: Run, wanted: TrialFilter) -> QuerySet[Item]:
    """The items of the run that fit the filter, each once; without a verdict in it, those answered wrong."""
    if not wanted.verdict:
        wanted = replace(wanted, verdict="incorrect")
    return Item.objects.filter(pk__in=trials_of(run, wanted).order_by().values("item"))


def chat_lines(run: Run, items: QuerySet[Item]) -> Iterator[str]:
    """JSON Lines of chats: what the model was shown, then the first reference as the assistant's turn.

    Items without a reference are left out. Text only.
    """
    last = 0
    template = run.config.get("template", "")
    recorded = run.config.get("responses") == "recorded"
    rows = items.exclude(references=[]).defer("responses").order_by("position")
    while chunk := list(rows.filter(position__gt=last)[:CHUNK]):
        for item in chunk:
            shown = prompt_of(item, template, recorded=recorded).messages
            answer = {"role": "assistant", "content": reference_text(item)}
            yield json.dumps({"messages": [*shown, answer]}, ensure_ascii=False) + "\n"
        last = chunk[-1].position


def reference_text(item: Item) -> str:
    return str(item.references[0])


def provenance(run: Run, wanted: TrialFilter, items: int) -> dict[str, Any]:
    """Where such a dataset comes from, as plain data."""
    dataset = run.config["dataset"]
    return {
        "kind": "misses",
        "run": run.pk,
        "model": run.config["model"]["name"],
        "dataset": dataset["name"],
        "version": dataset["version"],
        "content_hash": dataset["content_hash"],
        "filter": {
            "verdict": wanted.verdict or "incorrect",
            **({"section": wanted.section} if wanted.section is not None else {}),
            **({"q": wanted.q} if wanted.q else {}),
            **({"by": wanted.by} if wanted.by else {}),
            **({"flips": True} if wanted.flips else {}),
            **_variant(run, wanted),
        },
        "items": items,
    }


def _variant(run: Run, wanted: TrialFilter) -> dict[str, Any]:
    """By its number, 0 for the original, and its title."""
    if wanted.variant is None:
        return {}
    title = dict(enumerate(run.variants.titles)).get(wanted.variant, "")
    return {"variant": wanted.variant, "variation": title}


def provenance_file(run: Run, wanted: TrialFilter, items: int) -> dict[str, Any]:
    """The same to keep beside a download, with the warning."""
    dataset = run.config["dataset"]
    return provenance(run, wanted, items) | {
        "made_at": timezone.now().isoformat(),
        "warning": WARNING.format(dataset=dataset["name"]),
        "template": run.config.get("template", ""),
    }


def misses_register(access: Access, run: Run, wanted: TrialFilter, *, name: str) -> DatasetVersion:
    """A new dataset of the failing items, recorded with its origin. Raises Refused."""
    items = missed_items(run, wanted)
    origin = provenance(run, wanted, items.count())
    description = f"Items of {origin['dataset']} v{origin['version']} that run #{run.pk} missed."
    return dataset_from_items(
        access, items, run.dataset_version, name=name, description=description, origin=origin
    )


def misses_noted(access: Access, run: Run, items: int) -> None:
    """Notes that chats were taken away: test items left the portal."""
    audit.record(access, "run.misses_download", f"run {run.pk}", items=items)


def misses_push(access: Access, run: Run, wanted: TrialFilter, *, base_url: str) -> Delivery:
    """Has the chats sent to the workspace's webhook, with their provenance. `base_url` is the portal's.
    Raises Refused."""
    items = missed_items(run, wanted)
    count = items.count()
    if count > MOST_PUSHED:
        raise Refused(
            f"{count:,} items are more than the {MOST_PUSHED:,} that are pushed at once; filter them."
        )
    if count and not items.exclude(references=[]).exists():
        raise Refused("None of these items has a reference, so there is nothing to train towards.")
    return push(
        access,
        event="misses.push",
        subject=subject_of(run),
        about=provenance_file(run, wanted, count),
        base_url=base_url,
        filename=chat_name(run),
        lines=chat_lines(run, items),
    )


def subject_of(run: Run) -> str:
    return f"run {run.pk}"


def chat_name(run: Run) -> str:
    return f"run-{run.pk}-misses.jsonl"
