"""A benchmark as a bundle: benchmark.yaml and the items of each part as JSON Lines."""

from collections.abc import Iterator, Sequence
from tempfile import TemporaryFile
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import yaml

from benchmarks.models import Benchmark, BenchmarkPart, Phase
from datasets.exporters import EXPORTERS
from evalportal.lib.streaming import CHUNK_BYTES

FORMAT = "evalportal-benchmark"
VERSION = 1


def bundle(benchmark: Benchmark, parts: Sequence[BenchmarkPart]) -> Iterator[bytes]:
    """Made on disk, then sent. A version that two parts use is written once."""
    with TemporaryFile() as file:
        with ZipFile(file, "w", ZIP_DEFLATED) as archive:
            text = yaml.safe_dump(document(benchmark, parts), allow_unicode=True, sort_keys=False)
            archive.writestr("benchmark.yaml", text)
            for version in {part.version_id: part.version for part in parts}.values():
                with archive.open(data_name(version.pk), "w", force_zip64=True) as member:
                    for line in EXPORTERS["jsonl"]().parts(version):
                        member.write(line.encode())
        file.seek(0)
        while piece := file.read(CHUNK_BYTES):
            yield piece


def data_name(version_id: int) -> str:
    return f"data/version-{version_id}.jsonl"


def document(benchmark: Benchmark, parts: Sequence[BenchmarkPart]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "format_version": VERSION,
        "name": benchmark.name,
        "slug": benchmark.slug,
        "summary": benchmark.summary,
        "parts": [_part(part) for part in parts],
        "phases": [_phase(phase) for phase in benchmark.phases.all()],
    }


def _part(part: BenchmarkPart) -> dict[str, Any]:
    return {
        "dataset": part.version.dataset.name,
        "version": part.version.number,
        "content_hash": part.version.content_hash,
        "data": data_name(part.version_id),
        "subset": {name: value for name, value in part.subset.items() if name != "id"},
        "sections": list(part.sections),
        "limit": part.limit,
        "template": part.template,
        "params": dict(part.params),
        "scorers": [dict(scorer) for scorer in part.scorers],
        "judges": [
            {"name": judge.judge.name, "version": judge.number, "fingerprint": judge.fingerprint}
            for judge in part.judges.all()
        ],
        "primary": part.primary,
        "measure": part.measure,
        "weight": part.weight,
    }


def _phase(phase: Phase) -> dict[str, Any]:
    return {
        "name": phase.name,
        "starts_at": phase.starts_at.isoformat() if phase.starts_at else None,
        "ends_at": phase.ends_at.isoformat() if phase.ends_at else None,
        "sections": list(phase.sections),
        "limit": phase.limit,
        "most_runs": phase.most_runs,
        "most_per": phase.most_per,
    }
