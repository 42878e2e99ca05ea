"""From a known benchmark's data to a benchmark that models can be ranked on."""

from django.core.exceptions import ValidationError

from benchmarks.models import Benchmark
from benchmarks.services.editing import benchmark_create
from benchmarks.wish import BenchmarkProblems, BenchmarkWish, PartWish
from catalogue.entries import ENTRIES, Entry
from datasets.models import DatasetVersion
from datasets.selectors import ready_versions
from judges.draft import Draft
from judges.models import JudgeVersion
from judges.selectors import newest_version
from judges.services import judge_create, judge_revise
from registry.models import RegisteredModel
from registry.selectors import by_title, models_for
from workspaces.access import Access
from workspaces.models import Workspace
from workspaces.services import Refused


def judge_models(workspace: Workspace) -> list[RegisteredModel]:
    """Those that a judge can ask."""
    return list(by_title(models_for(workspace).filter(provider__isnull=False)))


def latest_of(workspace: Workspace, entry: Entry) -> DatasetVersion | None:
    """The newest version of the dataset that the entry imports into."""
    return ready_versions(workspace).filter(dataset__name=entry.title).order_by("-number").first()


def entry_of(version: DatasetVersion) -> Entry | None:
    """The known benchmark that a version was imported for."""
    return ENTRIES.get(str(version.origin.get("entry", "")))


def benchmark_prepare(
    held: Access, entry: Entry, version: DatasetVersion, judge_model: int | None = None
) -> Benchmark:
    """A benchmark of one part. One that only a judge can score needs the model that the judge asks.
    Raises Refused: also where a benchmark of that name is there."""
    if Benchmark.objects.filter(workspace=held.workspace, name=entry.title).exists():
        raise Refused(f"A benchmark called {entry.title} is there already.")
    judges = [_judge(held, entry, judge_model).pk] if entry.rubric else []
    part = PartWish(
        version_id=version.pk, scorers=entry.scorers, judge_ids=judges, template=entry.template,
        params=entry.params, measure=entry.measure,
    )  # fmt: skip
    words = [entry.summary, f"Measures {entry.tells}."]
    words += [f"Not measured: {entry.tells_not}."] if entry.tells_not else []
    words += [f"Source: {entry.source}"] if entry.source else []
    try:
        return benchmark_create(
            held, BenchmarkWish(name=entry.title, summary="\n\n".join(words), parts=[part])
        )
    except BenchmarkProblems as error:
        raise Refused("; ".join(text for texts in error.problems.values() for text in texts)) from error


def _judge(held: Access, entry: Entry, model_id: int | None) -> JudgeVersion:
    """The workspace's judge for the entry, asking that model."""
    assert entry.rubric
    stands = held.workspace.judges.filter(name=entry.rubric.title, archived_at=None).first()
    if model_id is None:
        if stands is None:
            raise Refused(f"{entry.title} is scored by a judge: choose the model that it asks.")
        return newest_version(stands)
    if not any(model.pk == model_id for model in judge_models(held.workspace)):
        raise Refused("Choose a model of this workspace that can be called.")
    draft = Draft.of_rubric(entry.rubric).changed(model_ids=[model_id])
    try:
        return judge_revise(held, stands, draft) if stands else judge_create(held, draft)
    except ValidationError as error:
        raise Refused(" ".join(error.messages)) from error
