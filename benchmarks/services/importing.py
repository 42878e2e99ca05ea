"""Making a benchmark from a bundle: datasets first, then the benchmark; nothing stays where that fails."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import ValidationError

from benchmarks.bundles.archive import Archive, BadBundle
from benchmarks.bundles.codabench import codabench_bundle
from benchmarks.bundles.reading import Bundle, BundlePart, own_bundle
from benchmarks.models import Benchmark
from benchmarks.services.editing import benchmark_create
from benchmarks.wish import BenchmarkProblems, BenchmarkWish, PartWish
from datasets.filters import ItemFilter
from datasets.importers import Record, rows_of
from datasets.mapping import guess_mapping
from datasets.models import DatasetVersion, Subset
from datasets.services import ImportProblems, InUse, version_delete, version_import
from datasets.services_drafts import subset_create, subset_delete
from judges.models import JudgeVersion
from workspaces import audit
from workspaces.access import Access

SAMPLE = 200
Made = list[DatasetVersion | Subset]


@dataclass(frozen=True)
class Imported:
    """The benchmark, and a sentence for each thing that was not taken over."""

    benchmark: Benchmark
    left_out: list[str]


def bundle_read(file: IO[bytes] | Path) -> tuple[Archive, Bundle]:
    """Ours or Codabench's, by the document it holds. Raises BadBundle."""
    archive = Archive(file, most_bytes=settings.UPLOAD_MAX_BYTES)
    if "benchmark.yaml" in archive.members:
        return archive, own_bundle(archive)
    for name in ("competition.yaml", "competition.yml"):
        if name in archive.members:
            return archive, codabench_bundle(archive, name)
    raise BadBundle("It holds neither benchmark.yaml nor competition.yaml.")


def bundle_import(access: Access, file: IO[bytes] | Path, *, name: str = "") -> Imported:
    """Raises BadBundle, and BenchmarkProblems; then no dataset of it stays either."""
    archive, bundle = bundle_read(file)
    left_out = list(bundle.left_out)
    made: Made = []
    try:
        parts = [_part(access, archive, part, made, left_out) for part in bundle.parts]
        wish = BenchmarkWish(
            name=name or free_name(access, bundle.name),
            summary=bundle.summary,
            slug=bundle.slug,
            parts=parts,
            phases=bundle.phases,
        )
        benchmark = benchmark_create(access, wish)
    except (BadBundle, BenchmarkProblems):
        _undo(access, made)
        raise
    audit.record(access, "benchmark.import", benchmark.name, left_out=len(left_out))
    return Imported(benchmark, left_out)


def free_name(access: Access, name: str) -> str:
    """The name, numbered where the workspace has it already."""
    base = " ".join(name.split())[:110] or "Imported benchmark"
    taken = {*Benchmark.objects.filter(workspace=access.workspace).values_list("name", flat=True)}
    numbered = (f"{base} ({number})" for number in range(2, len(taken) + 3))
    return base if base not in taken else next(each for each in numbered if each not in taken)


def _part(access: Access, archive: Archive, part: BundlePart, made: Made, left_out: list[str]) -> PartWish:
    values = dict(part.values)
    version = _version(access, archive, part, made)
    if subset := values.pop("subset", {}):
        values["subset_id"] = _subset(access, version, subset, made).pk
    judges = [_judge(access, told, part, left_out) for told in values.pop("judges", [])]
    wish = PartWish(version_id=version.pk, judge_ids=[pk for pk in judges if pk], **values)
    names = {str(each.get("name") or each.get("key")) for each in wish.scorers}
    asked = zip(part.values.get("judges", []), judges, strict=True)
    known = names | {str(told.get("name")) for told, pk in asked if pk}
    if wish.primary and wish.primary not in known:
        left_out.append(f"{part.dataset}: its primary metric {wish.primary}; the first scorer counts.")
        return replace(wish, primary="", measure="share")
    return wish


def _subset(access: Access, version: DatasetVersion, told: Mapping[str, Any], made: Made) -> Subset:
    """The dataset's subset of that rule, made unless it is there already."""
    wanted, size, seed = (told.get(name) for name in ("filter", "size", "seed"))
    if any(value is not None and type(value) is not int for value in (size, seed)):
        raise BadBundle(f"The subset of {version.dataset.name} has a size or seed that is no whole number.")
    try:
        asked = ItemFilter.of(wanted or {})
        known = version.dataset.subsets.filter(filter=asked.to_json(), size=size, seed=seed).first()
        if known:
            return known
        name = str(told.get("name") or "Subset")[:100]
        if version.dataset.subsets.filter(name=name).exists():
            name = f"{name} ({version.dataset.subsets.count() + 1})"
        subset = subset_create(access, version.dataset, name=name, wanted=asked, size=size, seed=seed)
        made.append(subset)
    except (ValidationError, TypeError, ValueError, AttributeError) as error:
        raise BadBundle(f"The subset of {version.dataset.name} cannot be read: {error}") from error
    return subset


def _judge(access: Access, told: Mapping[str, Any], part: BundlePart, left_out: list[str]) -> int | None:
    """The workspace's judge version that gives the same verdicts."""
    found = JudgeVersion.objects.filter(
        judge__workspace=access.workspace, fingerprint=str(told.get("fingerprint") or "-")
    ).first()
    if found is None:
        left_out.append(
            f"{part.dataset}: judge {told.get('name')} v{told.get('version')}; this workspace has none alike."
        )
    return found.pk if found else None


def _version(access: Access, archive: Archive, part: BundlePart, made: Made) -> DatasetVersion:
    """The dataset's version with these items, imported unless it is there already."""
    with _on_disk(archive, part) as path:
        try:
            with path.open("rb") as file:
                rows = islice(rows_of(file, part.source_name), SAMPLE)
                records = [row.values for row in rows if isinstance(row, Record)]
            result = version_import(
                access,
                path=path,
                source_name=part.source_name,
                dataset_name=part.dataset[:120],
                mapping=guess_mapping(records),
                note="From a benchmark bundle",
            )
        except ImportProblems as error:
            told = "; ".join(
                f"line {each.line}: {each.reason}" if each.line else each.reason
                for each in error.problems[:3]
            )
            raise BadBundle(f"{part.dataset}: {told}.") from error
    if result.created:
        made.append(result.version)
    return result.version


@contextmanager
def _on_disk(archive: Archive, part: BundlePart) -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "items"
        with path.open("wb") as file:
            for piece in archive.chunks(part.member) if part.member else [part.content]:
                file.write(piece)
        yield path


def _undo(access: Access, made: Made) -> None:
    for each in reversed(made):
        try:
            if isinstance(each, Subset):
                subset_delete(access, each)
            else:
                version_delete(access, each)
        except InUse:  # someone was quicker: theirs now
            continue
