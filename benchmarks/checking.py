"""Whether a benchmark can be as someone wishes it: every problem by its field, in words."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from benchmarks.models import Benchmark, Measure, Phase
from benchmarks.scales import Counted, NoScale, mixed, scale_of, scorer_name
from benchmarks.scoring import Scale
from benchmarks.wish import BenchmarkProblems, BenchmarkWish, PartWish, PhaseWish
from datasets.models import DatasetVersion, Subset
from datasets.selectors import ready_versions
from datasets.subsets import subsets_of
from evalportal.lib.plugins import UnknownPlugin
from judges.models import JudgeVersion
from judges.scorers import BadOptions, build_scorer
from judges.templating import check_template
from workspaces.models import Workspace

MOST_PARTS = 20
MOST_PHASES = 20
LONGEST_SUMMARY = 20_000
Problems = dict[str, list[str]]


@dataclass(frozen=True)
class CheckedPart:
    """A part that can be: its wish with what it names."""

    wish: PartWish
    version: DatasetVersion
    judges: Sequence[JudgeVersion]
    primary: str
    scale: Scale
    subset: Subset | None


def check(workspace: Workspace, wish: BenchmarkWish, *, old: Benchmark | None = None) -> list[CheckedPart]:
    """Raises BenchmarkProblems with everything that is wrong."""
    problems: Problems = defaultdict(list)
    _check_name(workspace, wish, old, problems)
    if not wish.parts:
        problems["parts"].append("A benchmark measures something: add a dataset.")
    if len(wish.parts) > MOST_PARTS:
        problems["parts"].append(f"At most {MOST_PARTS} parts.")
    found = [_part(workspace, part, at, problems) for at, part in enumerate(wish.parts[:MOST_PARTS], 1)]
    parts = [part for part in found if part]
    if len(parts) == len(wish.parts) and (words := mixed([part.scale for part in parts])):
        problems["parts"].append(words)
    _check_phases(wish.phases, problems)
    if problems:
        raise BenchmarkProblems(problems)
    return parts


def _check_name(workspace: Workspace, wish: BenchmarkWish, old: Benchmark | None, problems: Problems) -> None:
    name = " ".join(wish.name.split())
    if not name or len(name) > 120 or "\0" in name:
        problems["name"].append("Give a name of at most 120 characters.")
    others = Benchmark.objects.filter(workspace=workspace).exclude(pk=old.pk if old else 0)
    if others.filter(name=name).exists():
        problems["name"].append("There is a benchmark of this name already.")
    if len(wish.summary) > LONGEST_SUMMARY or "\0" in wish.summary:
        problems["summary"].append(f"At most {LONGEST_SUMMARY:,} characters, without NUL.")


def _part(workspace: Workspace, wish: PartWish, at: int, problems: Problems) -> CheckedPart | None:
    """None where something is wrong; the problems then say what."""
    own: Problems = defaultdict(list)
    version = ready_versions(workspace).filter(pk=wish.version_id or 0).first()
    judges = judge_versions(workspace, wish.judge_ids)
    if version is None:
        own["version_id"].append("Choose a dataset version of this workspace.")
    if len(judges) < len(set(wish.judge_ids)):
        own["judge_ids"].append("Choose judge versions of this workspace.")
    subset = _subset(workspace, wish, version, own)
    _check_part_fields(wish, version, own)
    _check_scorers(wish, own)
    names = [scorer_name(each) for each in wish.scorers] + [each.judge.name for each in judges]
    if not names:
        own["scorers"].append("Choose at least one scorer or judge.")
    if len(set(names)) < len(names):
        own["scorers"].append("Two scorers or judges have one name.")
    primary = wish.primary or next(iter(names), "")
    scale = None
    if not own:
        try:
            scale = scale_of(Counted(primary, wish.measure, wish.scorers, judges))
        except NoScale as error:
            own["primary"].append(str(error))
    problems |= {f"parts.{at}.{name}": texts for name, texts in own.items()}
    return CheckedPart(wish, version, judges, primary, scale, subset) if version and scale else None


def _subset(
    workspace: Workspace, wish: PartWish, version: DatasetVersion | None, own: Problems
) -> Subset | None:
    if wish.subset_id is None or version is None:
        return None
    found = subsets_of(workspace).filter(pk=wish.subset_id, dataset=version.dataset_id).first()
    if found is None:
        own["subset_id"].append(f"Choose a subset of {version.dataset.name}, or none.")
    return found


def judge_versions(workspace: Workspace, ids: Sequence[int]) -> list[JudgeVersion]:
    """Those of the workspace, with their judge, in the order asked for."""
    rows = JudgeVersion.objects.filter(judge__workspace=workspace, pk__in=ids).select_related("judge")
    found = {row.pk: row for row in rows}
    return [found[pk] for pk in dict.fromkeys(ids) if pk in found]


def _check_part_fields(wish: PartWish, version: DatasetVersion | None, own: Problems) -> None:
    known = {section["name"] for section in version.sections} if version else set(wish.sections)
    if unknown := [name for name in wish.sections if name not in known]:
        own["sections"].append(f"No such section in this version: {', '.join(unknown)}.")
    if wish.limit is not None and wish.limit < 1:
        own["limit"].append("At least 1, or empty for all items.")
    if not (isfinite(wish.weight) and 0 < wish.weight <= 1_000_000):
        own["weight"].append("A number above 0.")
    if wish.measure not in Measure.values:
        own["measure"].append(f"One of {', '.join(Measure.values)}.")
    own_template = check_template(wish.template)
    if own_template:
        own["template"].extend(map(str, own_template))


def _check_scorers(wish: PartWish, own: Problems) -> None:
    for scorer in wish.scorers:
        try:
            build_scorer(str(scorer["key"]), dict(scorer.get("options") or {}))
        except (UnknownPlugin, BadOptions) as error:
            own["scorers"].append(f"{scorer['key']}: {error}")
        except (KeyError, TypeError, ValueError):
            own["scorers"].append('A scorer is {"key": …, "name": …, "options": {…}}.')
            return


def _check_phases(phases: Sequence[PhaseWish], problems: Problems) -> None:
    if len(phases) > MOST_PHASES:
        problems["phases"].append(f"At most {MOST_PHASES} phases.")
    names = [" ".join(phase.name.split()) for phase in phases]
    for at, (phase, name) in enumerate(zip(phases, names, strict=True), 1):
        if not name or len(name) > 80:
            problems[f"phases.{at}.name"].append("Give a name of at most 80 characters.")
        elif names.count(name) > 1:
            problems[f"phases.{at}.name"].append("Two phases have this name.")
        if phase.starts_at and phase.ends_at and phase.starts_at >= phase.ends_at:
            problems[f"phases.{at}.ends_at"].append("It ends before it starts.")
        for field, value in (("limit", phase.limit), ("most_runs", phase.most_runs)):
            if value is not None and value < 1:
                problems[f"phases.{at}.{field}"].append("At least 1, or empty.")
        if phase.most_per not in Phase.Per.values:
            problems[f"phases.{at}.most_per"].append("model or person.")
