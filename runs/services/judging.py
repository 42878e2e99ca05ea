"""Judges of runs: which may be asked, and making the judgings that ask them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from datasets.models import DatasetVersion
from judges.asking import call_parameters
from judges.models import JudgeModel, JudgeVersion, frozen
from judges.selectors import versions_in
from registry.models import RegisteredModel
from registry.selectors import models_for
from runs import live
from runs.engine.judging import order, passes_of
from runs.engine.leases import lock_run
from runs.models import LogLine, Run, RunStatus
from runs.services.ceilings import ceiling_problems
from runs.services.control import CannotDo
from runs.services.freezing import frozen_model
from runs.services.wish import Launch, LaunchProblems, Target
from runs.tasks import pump
from runs.variations import asked_alike, turns_of
from workspaces import audit
from workspaces.access import Access

LONGEST_NAME = 80
ASKED_OTHERWISE = (
    "The other run asked its items in other variants or epochs: the responses are not to the same prompts."
)
WAITS = "Waits for responses to judge."
MOST_TURNS = 32_767  # of an item in a judging: as far as its trials are numbered


class BadJudge(Exception):
    """The judge cannot be asked; `problems` are messages for people."""

    def __init__(self, problems: Sequence[str]):
        self.problems = list(problems)
        super().__init__(" ".join(self.problems))


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What bounds each judging: its own ceilings (dollars, tokens), failed calls per response, and whether
    answers of this workspace are used again."""

    cost_ceiling: Decimal | None = None
    token_ceiling: int | None = None
    max_failures: int = 5
    cache: bool = False


def judge_problems(access: Access, version: JudgeVersion) -> list[str]:
    """Why this version cannot be asked now, in words; mostly nothing. Loads its judge and models."""
    judge = version.judge
    if judge.workspace_id != access.workspace.pk or judge.archived_at:
        return ["Choose judges of this workspace that are not archived."]
    rows = models_of(version)
    if not rows:
        return [f"{judge.name} has no judge model."]
    usable = models_for(access.workspace).filter(pk__in=[row.model_id for row in rows if row.model_id])
    callable_ids = {model.pk for model in usable if model.is_callable}
    words = "cannot be called. Register or activate it, or choose another"
    return [
        f"{judge.name}: its judge model {row.title} {words}."
        for row in rows
        if row.model_id not in callable_ids
    ]


def judges_named(access: Access, wanted: Sequence[Any]) -> list[JudgeVersion]:
    """Versions by id, or the newest of judges by name. Raises LaunchProblems."""
    versions, unknown = [], []
    for each in wanted:
        found = versions_in(access.workspace).filter(judge__archived_at=None)
        if isinstance(each, int) and not isinstance(each, bool):
            version = found.filter(pk=min(each, 2**62)).first()
        else:
            version = found.filter(judge__name=str(each).replace("\0", "")[:200]).first()
        versions.append(version)
        unknown += [] if version else [str(each)[:80]]
    if unknown:
        raise LaunchProblems({"judges": [f"No judge of this workspace: {', '.join(unknown)}."]})
    return [version for version in dict.fromkeys(versions) if version]


def models_of(version: JudgeVersion) -> list[JudgeModel]:
    """The judge models, with provider, in their order."""
    rows = JudgeModel.objects.filter(version=version).select_related("model__provider")
    return list(rows.order_by("position"))


def unpriced_models(versions: Sequence[JudgeVersion]) -> list[str]:
    """Titles of judge models whose calls have no known cost."""
    rows = [row for version in versions for row in models_of(version)]
    return [
        row.title
        for row in rows
        if row.model and (row.model.input_price is None or row.model.output_price is None)
    ]


def judge_calls(version: JudgeVersion, responses: int) -> int:
    """How many calls it takes to judge so many responses."""
    return passes_of(frozen(version)) * len(models_of(version)) * responses


def add_judge(
    access: Access,
    run: Run,
    version: JudgeVersion,
    *,
    opponent: Run | None = None,
    terms: Terms | None = None,
) -> list[Run]:
    """Lets a judge score a run, also the responses that are there already. Returns its judgings, one for
    each judge model. Raises BadJudge, CannotDo, BadCeilings."""
    terms = terms or Terms()
    if run.judged_id:
        raise CannotDo("A judging cannot be judged.")
    problems = judge_problems(access, version)
    problems += opponent_problems(run, version, opponent)
    problems += turn_problems(turns_of(run.config), [version])
    ceilings = ceiling_problems(
        terms.cost_ceiling, terms.token_ceiling, calls=True, unpriced=unpriced_models([version])
    )
    problems += [text for texts in ceilings.values() for text in texts]
    if problems:
        raise BadJudge(problems)
    with transaction.atomic():
        if not lock_run(run.pk):
            raise CannotDo("The run has been deleted.")
        judgings = begin(access, run, version, opponent=opponent, terms=terms)
        order(run.pk)
        for judging in judgings:
            judging.refresh_from_db(fields=["total", "sequence"])
            pump.delay_on_commit(judging.pk)
        audit.record(
            access,
            "run.add_judge",
            f"run {run.pk}",
            judge=f"{version.judge.name} v{version.number}",
            judgings=[judging.pk for judging in judgings],
        )
    live.notify(run)
    return judgings


def turn_problems(turns: int, versions: Iterable[JudgeVersion]) -> list[str]:
    """`turns` are the responses to one item, over its epochs and variants."""
    asked = [(version.judge.name, turns * passes_of(frozen(version))) for version in versions]
    return [
        f"{name} would be asked {calls:,} times about one item; at most {MOST_TURNS:,}. "
        "Choose fewer epochs, variants or repeats."
        for name, calls in asked
        if calls > MOST_TURNS
    ]


def opponent_problems(run: Run, version: JudgeVersion, opponent: Run | None) -> list[str]:
    if version.kind != "compare":
        return []
    if opponent is None:
        return [f"{version.judge.name} compares: choose the run with the other responses."]
    if opponent.judged_id or opponent.pk == run.pk or opponent.workspace_id != run.workspace_id:
        return ["Compare with another run of this workspace."]
    if opponent.dataset_version_id != run.dataset_version_id:
        return ["Both runs have to be on the same version of the dataset."]
    if not asked_alike(run.config, opponent.config):
        return [ASKED_OTHERWISE]
    return []


def begin(
    access: Access, run: Run, version: JudgeVersion, *, opponent: Run | None = None, terms: Terms
) -> list[Run]:
    """Makes the judgings of a checked judge. In the caller's transaction, which holds the run's row."""
    run.refresh_from_db(fields=["config"])
    name = _free_name(version.judge.name, run.scorer_names)
    rows = models_of(version)
    panel = name if len(rows) > 1 else ""
    opponent = opponent if version.kind == "compare" else None
    entry = {
        "key": "judge",
        "title": f"{version.judge.name} v{version.number}",
        "kind": version.kind,
        "version": version.pk,
        "passes": passes_of(frozen(version)),
        "both_orders": version.both_orders,
        "opponent": opponent.pk if opponent else None,
        "options": {},
    }
    taken, entries, judgings = [*run.scorer_names, name], [], []
    if panel:
        entries.append({**entry, "name": panel, "panel": "", "judging": None, "passes": 1})
    for row in rows:
        scorer = _free_name(f"{name} · {row.title}", taken) if panel else name
        taken.append(scorer)
        judging = _create(access, run, version, row, opponent, terms, scorer=scorer, panel=panel)
        judgings.append(judging)
        title = f"{entry['title']} · {row.title}" if panel else entry["title"]
        entries.append({**entry, "title": title, "name": scorer, "panel": panel, "judging": judging.pk})
    run.config = {**run.config, "judges": [*run.config.get("judges", []), *entries]}
    Run.objects.filter(pk=run.pk).update(config=run.config, sequence=F("sequence") + 1)
    words = f"{entry['title']} judges the responses, for {access.actor_label}"
    LogLine.objects.create(run=run, at=timezone.now(), text=words)
    return judgings


def _free_name(wanted: str, taken: Sequence[str]) -> str:
    name, number = wanted[:LONGEST_NAME], 2
    while name in taken:
        suffix = f" ({number})"
        name, number = f"{wanted[: LONGEST_NAME - len(suffix)]}{suffix}", number + 1
    return name


def _create(
    access: Access,
    run: Run,
    version: JudgeVersion,
    row: JudgeModel,
    opponent: Run | None,
    terms: Terms,
    *,
    scorer: str,
    panel: str,
) -> Run:
    assert row.model is not None
    judge = frozen(version)
    params = call_parameters(judge, row.model.default_params, row.model.capabilities)
    return create(
        access,
        run,
        row.model,
        terms,
        judge=judge,
        params=params,
        scorer=scorer,
        panel=panel,
        opponent=opponent,
    )


def create(
    access: Access,
    run: Run,
    model: RegisteredModel,
    terms: Terms,
    *,
    judge: Mapping[str, Any],
    params: Mapping[str, Any],
    scorer: str,
    panel: str = "",
    opponent: Run | None = None,
) -> Run:
    """A judging of the run, as yet without trials. `judge` is what it keeps of who judges."""
    judging = Run.objects.create(
        workspace_id=run.workspace_id,
        evaluation_id=run.evaluation_id,
        dataset_version_id=run.dataset_version_id,
        model=model,
        alias=model.title[:120],
        label=run.label,
        judged=run,
        opponent=opponent,
        scorer=scorer,
        panel=panel,
        passes=passes_of(judge),
        created_by=access.actor,
        cost_ceiling=terms.cost_ceiling,
        token_ceiling=terms.token_ceiling,
        status=RunStatus.PENDING,
        status_reason=WAITS,
        config=_config(run, judge, params, model, terms),
    )
    words = f"{scorer} judges run {run.pk}" + (f" against run {opponent.pk}" if opponent else "")
    LogLine.objects.create(run=judging, at=timezone.now(), text=words)
    return judging


def _config(
    run: Run, judge: Mapping[str, Any], params: Mapping[str, Any], model: RegisteredModel, terms: Terms
) -> dict[str, Any]:
    return {
        "template": "",
        "params": params,
        "scorers": [],
        "epochs": run.config.get("epochs", 1),
        "concurrency": model.provider.concurrency if model.provider else 1,
        "max_failures": terms.max_failures,
        "responses": "fresh",
        "cache": terms.cache,
        "model": frozen_model(model),
        "dataset": run.config["dataset"],
        "judge": judge,
    }


# Launching


def launch_problems(
    access: Access, wish: Launch, version: DatasetVersion | None, targets: Sequence[Target]
) -> dict[str, list[str]]:
    """By field of Launch: what is wrong with its judges and the opponent of those that compare."""
    problems: dict[str, list[str]] = defaultdict(list)
    for judge in wish.judges:
        problems["judges"] += judge_problems(access, judge)
    if any(judge.kind == "compare" for judge in wish.judges) and version:
        for field, words in _opponent_missing(access, wish, version, targets):
            problems[field].append(words)
    return {field: texts for field, texts in problems.items() if texts}


def _opponent_missing(
    access: Access, wish: Launch, version: DatasetVersion, targets: Sequence[Target]
) -> Iterator[tuple[str, str]]:
    if wish.opponent_run_id:
        runs = Run.objects.filter(workspace=access.workspace, judged=None, dataset_version=version)
        opponent = runs.filter(pk=wish.opponent_run_id).first()
        if opponent is None:
            yield "opponent_run_id", "Choose a run of this workspace on the same version of the dataset."
        elif not asked_alike({"epochs": wish.epochs}, opponent.config):
            yield "opponent_run_id", ASKED_OTHERWISE
    elif wish.opponent_recorded:
        if wish.opponent_recorded not in version.response_models:
            yield (
                "opponent_recorded",
                f"This version has no recorded responses of {wish.opponent_recorded}.",
            )
    elif len(targets) < 2:
        yield (
            "judges",
            "A judge that compares needs a second response: choose another model, a run, "
            "or recorded responses.",
        )


def begin_all(access: Access, wish: Launch, runs: Sequence[Run], opponent: Run | None) -> None:
    """Every judge of a checked launch for every run; nobody is compared with itself."""
    terms = terms_of(wish)
    for run in runs:
        for version in wish.judges:
            if version.kind != "compare" or run != opponent:
                begin(access, run, version, opponent=opponent, terms=terms)


def terms_of(wish: Launch) -> Terms:
    """Each judging has the launch's own."""
    return Terms(
        cost_ceiling=wish.cost_ceiling,
        token_ceiling=wish.token_ceiling,
        max_failures=wish.max_failures,
        cache=wish.cache,
    )


def judged_runs(wish: Launch, version: JudgeVersion, runs: int) -> int:
    """How many of the launch's runs a judge is asked about."""
    among_themselves = not wish.opponent_run_id and not wish.opponent_recorded
    return max(0, runs - 1) if version.kind == "compare" and among_themselves else runs
