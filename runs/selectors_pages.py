"""What only the pages read of runs: the archive by finish, what a new workspace lacks, one item's prompt."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet

from datasets.models import Dataset, DatasetVersion, Item
from datasets.selectors import ready_versions
from judges.asking import judge_messages
from judges.metrics import Estimate
from judges.options import read_options
from judges.scorers import Subject, Verdict
from judges.scorers.semantic import Semantic
from judges.templating import TemplateProblem, prompt_messages
from registry.selectors import models_for
from runs.metrics import elapsed_s, primary_estimate
from runs.models import LogLine, Run, Trial
from runs.selectors import ArchiveFilter, Page, archived
from runs.variations import DRAFTING_LABEL
from workspaces.models import Workspace

ARCHIVE_ROWS = 25
HIDDEN = "…"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class ArchiveRow:
    """A finished run with its figures, from tallies that are already loaded."""

    run: Run
    estimate: Estimate | None
    elapsed_s: float | None


def archive_rows(
    workspace: Workspace, wanted: ArchiveFilter, *, newest_first: bool, after: str = "", before: str = ""
) -> Page:
    """Finished runs by the time they finished; keyset on (finished_at, id), two queries."""
    runs = archived(workspace, wanted).prefetch_related("tallies")
    backward = bool(before)
    descending = newest_first != backward
    cursor = _cursor(before or after)
    if cursor:
        runs = runs.filter(_beyond(*cursor, descending=descending))
    order = ("-finished_at", "-id") if descending else ("finished_at", "id")
    found = list(runs.order_by(*order)[: ARCHIVE_ROWS + 1])
    more, found = len(found) > ARCHIVE_ROWS, found[:ARCHIVE_ROWS]
    if backward:
        found.reverse()
    rows = [ArchiveRow(run, primary_estimate(run, run.tallies.all()), elapsed_s(run)) for run in found]
    newer = found and (more if backward else cursor)
    older = found and (backward or more)
    return Page(rows, newer=_mark(found[0]) if newer else "", older=_mark(found[-1]) if older else "")


def _mark(run: Run) -> str:
    """A cursor: microseconds of the finish, then the id."""
    assert run.finished_at is not None
    return f"{(run.finished_at - EPOCH) // timedelta(microseconds=1)}-{run.pk}"


def _cursor(text: str) -> tuple[datetime, int] | None:
    microseconds, _, pk = text.partition("-")
    if not (text.isascii() and microseconds.isdigit() and pk.isdigit() and len(text) < 40):
        return None
    try:
        return EPOCH + timedelta(microseconds=int(microseconds)), min(int(pk), 2**62)
    except OverflowError:
        return None


def _beyond(at: datetime, pk: int, *, descending: bool) -> Q:
    if descending:
        return Q(finished_at__lt=at) | Q(finished_at=at, id__lt=pk)
    return Q(finished_at__gt=at) | Q(finished_at=at, id__gt=pk)


def datasets_with_runs(workspace: Workspace) -> QuerySet[Dataset]:
    return Dataset.objects.filter(workspace=workspace, versions__runs__isnull=False).distinct()


def is_new(workspace: Workspace) -> bool:
    return not Run.objects.filter(workspace=workspace).exists()


def what_is_there(workspace: Workspace) -> dict[str, bool]:
    """What a first launch needs and has."""
    return {
        "has_dataset": ready_versions(workspace).exists(),
        "has_model": models_for(workspace).filter(provider__isnull=False).exists(),
    }


def recorded_names(workspace: Workspace) -> list[str]:
    """Models with recorded responses in any version, for pages without script."""
    names = {
        name
        for models in ready_versions(workspace)
        .exclude(response_models=[])
        .values_list("response_models", flat=True)
        for name in models
    }
    return sorted(names)


@dataclass(frozen=True)
class Prompt:
    """What a model is shown of an item, and a remark on it."""

    messages: list[dict[str, Any]]
    note: str = ""


def prompt_of(item: Item, template: str, *, recorded: bool = False) -> Prompt:
    """The prompt of an item as it is sent; images stand apart."""
    if recorded:
        return Prompt(
            item.messages or [{"role": "user", "content": item.prompt}], "Recorded, nothing was sent"
        )
    try:
        return Prompt(prompt_messages(template, item_context(item), item.messages), "As sent")
    except TemplateProblem as problem:
        return Prompt([{"role": "user", "content": item.prompt}], f"The template failed: {problem}")


def item_context(item: Item) -> dict[str, Any]:
    """What a prompt template sees of an item: never its references."""
    return {
        "input": item.prompt,
        "choices": item.choices,
        "section": item.section,
        "id": item.external_id,
        "metadata": item.metadata,
    }


def prompt_of_trial(run: Run, trial: Trial) -> Prompt:
    """Needs the trial's item, as it was asked (`show_as_asked`)."""
    if run.judged_id:
        return asked_of_judge(run, trial)
    template = run.variants.template_of(trial.epoch)
    return prompt_of(trial.item, template, recorded=run.config.get("responses") == "recorded")


def asked_of_judge(run: Run, trial: Trial) -> Prompt:
    """Of a judging's trial. The mark that fences data is left out: writers of responses must not know it."""
    frozen, item = run.config["judge"], trial.item
    if frozen["kind"] == Semantic.key:
        return _embedded(run, trial)
    epoch = (trial.epoch - 1) // run.passes + 1
    swapped = bool(frozen["both_orders"]) and (trial.epoch - 1) % run.passes % 2 == 1
    responses = Trial.objects.filter(item=item, epoch=epoch).values_list("response", flat=True)
    mine = responses.filter(run=run.judged_id).first() or ""
    other = responses.filter(run=run.opponent_id).first() if run.opponent_id else None
    known = {**item_context(item), "references": item.references, "messages": item.messages}
    try:
        messages = judge_messages(frozen, known, mine, other, swapped, HIDDEN)
    except TemplateProblem as problem:
        return Prompt([], f"The judge's template failed: {problem}")
    return Prompt(messages, "B shown first" if swapped else "As sent, but for the mark around data")


def _embedded(run: Run, trial: Trial) -> Prompt:
    """The texts of semantic similarity's trial."""
    response = trial.judged.response if trial.judged else ""
    subject = Subject(response, trial.item.references, trial.item.choices)
    asked = Semantic(read_options(Semantic, run.config["judge"]["options"])).asked(subject)
    if isinstance(asked, Verdict):
        return Prompt([], "Nothing had to be embedded")
    texts = zip(("response", *["reference"] * len(asked.references)), asked.texts, strict=True)
    return Prompt([{"role": role, "content": text} for role, text in texts], "The texts that were embedded")


def first_items(version: DatasetVersion, count: int = 1) -> list[Item]:
    return list(Item.objects.filter(version=version).defer("responses").order_by("position")[:count])


def last_run_on(version: DatasetVersion) -> Run | None:
    """The newest run on any version of this one's dataset."""
    runs = Run.objects.filter(dataset_version__dataset=version.dataset_id, judged=None)
    runs = runs.exclude(label=DRAFTING_LABEL)
    return runs.order_by("-id").first()


def log_text(run: Run) -> Iterator[str]:
    """The whole log as lines of text, in chunks."""
    for line in LogLine.objects.filter(run=run).order_by("id").iterator(chunk_size=2000):
        yield f"{line.at:%Y-%m-%dT%H:%M:%S.%f}Z {line.level:<5} {line.text}\n"
