"""Launching: from a person's wishes to an evaluation with its runs and their pending trials."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from datasets.models import DatasetVersion, Item, Subset
from datasets.selectors import ready_versions
from datasets.subsets import subset_items, subsets_of
from evalportal.lib.plugins import UnknownPlugin
from judges.scorers import BadOptions, build_scorer
from judges.templating import check_template
from registry.models import RegisteredModel
from registry.selectors import models_for
from registry.services import model_by_name_only
from runs.engine import making
from runs.models import BY_HAND, Evaluation, LogLine, Run
from runs.selectors_budget import month_of
from runs.services import by_hand, forecast, judging, measuring, varying
from runs.services.ceilings import ceiling_problems
from runs.services.freezing import frozen_config, scorer_name
from runs.services.wish import Forecast, Launch, LaunchPlan, LaunchProblems, Target, Varied
from runs.tasks import pump
from workspaces import audit
from workspaces.access import Access

MAX_TRIALS = 5_000_000
MAX_EPOCHS = 100
MAX_CONCURRENCY = 4096


def launch_plan(access: Access, wish: Launch) -> LaunchPlan:
    """Checks a launch and foretells calls, cost, duration and precision. Changes nothing."""
    problems: dict[str, list[str]] = defaultdict(list)
    version = _version(access, wish, problems)
    subset = _subset(access, wish, version, problems)
    targets = _targets(access, wish, version, problems)
    _check_numbers(wish, targets, problems)
    _check_scoring(access, wish, problems)
    _check_ceilings(access, wish, targets, problems)
    problems |= judging.launch_problems(access, wish, version, targets)
    items = _most(wish, _items(wish, version, subset) if version else 0)
    varied = _varied(wish, version, subset, items, problems)
    per_run = _trials(wish, items, varied)
    if wish.responses == BY_HAND and version:
        problems |= by_hand.launch_problems(targets, per_run, _asked(wish, version, subset, items))
    turns = _trials(wish, 1) * (1 + sum(len(each.items) for each in varied))
    if too_often := judging.turn_problems(turns, wish.judges):
        problems["epochs"] += too_often
    if version and version.item_count and not per_run:
        field = "subset_id" if subset else "sections"
        problems[field].append("No item of this version is in that subset or these sections, or named.")
    if per_run * len(targets) > MAX_TRIALS:
        problems["epochs"].append(f"{per_run * len(targets):,} trials are more than {MAX_TRIALS:,}.")
    calls, judge_calls, found = _foretold(wish, version, targets, per_run)
    cost, basis = forecast.total_cost(found, wish) if found else (Decimal(0), "no calls")
    month = month_of(access.workspace)
    return LaunchPlan(
        version=version,
        targets=targets,
        trials_per_run=per_run,
        calls=calls + judge_calls,
        judge_calls=judge_calls,
        cost=cost,
        cost_basis=basis,
        cost_band=forecast.cost_band(found),
        tokens=sum(each.tokens for each in found),
        duration_s=forecast.duration(access.workspace, targets, wish, per_run) if calls else None,
        half_width=forecast.half_width(items),
        concurrency=min((forecast.concurrency_of(target, wish) for target in targets), default=0),
        month=month,
        problems=dict(problems),
        warnings=forecast.ceiling_warnings(found, wish, month) if found else (),
        bars=forecast.ceiling_bars(found, wish),
        subset=subset,
        items=items,
        varied=varied,
    )


def _foretold(
    wish: Launch, version: DatasetVersion | None, targets: Sequence[Target], per_run: int
) -> tuple[int, int, list[Forecast]]:
    """Calls of models, calls of judges, and what they take."""
    calls, judge_calls, found = 0, 0, list[Forecast]()
    if version and wish.responses == "fresh":
        calls = per_run * len(targets)
        found = forecast.forecasts(version, targets, wish, per_run) if calls else []
    for judge in wish.judges if version and per_run else ():
        assert version is not None
        responses = per_run * judging.judged_runs(wish, judge, len(targets))
        judge_calls += judging.judge_calls(judge, responses)
        found += forecast.judge_forecasts(version, judge, wish, responses)
    if version and per_run:
        more, taken = measuring.forecasts(version.dataset.workspace, version, wish, per_run * len(targets))
        judge_calls, found = judge_calls + more, found + taken
    return calls, judge_calls, found


def items_in(version: DatasetVersion, sections: Sequence[str]) -> int:
    """How many items those sections hold; without sections, all."""
    if not sections:
        return version.item_count
    return sum(section["items"] for section in version.sections if section["name"] in sections)


def _items(wish: Launch, version: DatasetVersion, subset: Subset | None) -> int:
    if wish.item_ids or subset:
        return _chosen(wish, version, subset).count()
    return items_in(version, wish.sections)


def _chosen(wish: Launch, version: DatasetVersion, subset: Subset | None) -> QuerySet[Item]:
    """The items of the launch, but for its limit."""
    items = subset_items(subset, version) if subset else Item.objects.filter(version=version)
    items = items.filter(pk__in=wish.item_ids) if wish.item_ids else items
    return items.filter(section__in=wish.sections) if wish.sections and not wish.item_ids else items


def _asked(wish: Launch, version: DatasetVersion, subset: Subset | None, items: int) -> QuerySet[Item]:
    """The items of the launch, `items` in number."""
    chosen = _chosen(wish, version, subset)
    return chosen.order_by("position")[:items] if wish.limit else chosen.order_by()


def _most(wish: Launch, items: int) -> int:
    return min(items, max(1, wish.limit)) if wish.limit else items


def _trials(wish: Launch, items: int, varied: Sequence[Varied] = ()) -> int:
    """Of each run. What is out of bounds is refused elsewhere, and must not break the forecast."""
    variants = sum(sum(each.items) for each in varied)
    return (items + variants) * min(max(1, wish.epochs), MAX_TRIALS)


def _varied(
    wish: Launch,
    version: DatasetVersion | None,
    subset: Subset | None,
    items: int,
    problems: dict[str, list[str]],
) -> list[Varied]:
    """Nothing is read for a launch without variations."""
    if not wish.variations or version is None:
        return []
    found, why_not = varying.varied(wish, version, _asked(wish, version, subset, items), items)
    if why_not:
        problems["variations"] += why_not
    return found


def launch(access: Access, wish: Launch, *, into: Evaluation | None = None) -> Evaluation:
    """Creates the evaluation and its runs and wakes a worker. Raises LaunchProblems; then nothing is made.

    `into`: the runs join this evaluation of the workspace instead of a new one.
    """
    plan = launch_plan(access, wish)
    if plan.problems or plan.version is None:
        raise LaunchProblems(plan.problems)
    models = [target.model or model_by_name_only(access, target.name) for target in plan.targets]
    with transaction.atomic():
        _hold(plan.version)
        evaluation = into or Evaluation.objects.create(
            workspace=access.workspace,
            created_by=access.actor,
            name=(
                wish.name
                or f"{plan.version.dataset.name}: {', '.join(target.title for target in plan.targets)}"
            )[:200],
        )
        runs = [_create_run(access, evaluation, plan, wish, model) for model in models]
        opponent = _opponent(access, evaluation, plan, wish, runs) if wish.judges else None
        judging.begin_all(access, wish, runs, opponent)
        if wish.judges and wish.opponent_recorded and opponent:
            runs.append(opponent)
        audit.record(
            access,
            "evaluation.launch",
            f"{evaluation.name} (#{evaluation.pk})",
            runs=[run.pk for run in runs],
            trials=plan.trials_per_run * len(runs),
            cost_ceiling=None if wish.cost_ceiling is None else str(wish.cost_ceiling),
            token_ceiling=wish.token_ceiling,
            cache=wish.cache,
        )
        for run in runs if wish.responses != BY_HAND else ():
            pump.delay_on_commit(run.pk)
    return evaluation


def _hold(version: DatasetVersion) -> None:
    """Who deletes the version waits until its runs can be seen. Raises LaunchProblems when it is gone."""
    held = DatasetVersion.objects.select_for_update(no_key=True).filter(pk=version.pk, ready_at__isnull=False)
    if held.values_list("pk").first() is None:
        raise LaunchProblems({"dataset_version_id": ["The version has been deleted just now."]})


def _opponent(
    access: Access, evaluation: Evaluation, plan: LaunchPlan, wish: Launch, runs: Sequence[Run]
) -> Run | None:
    """The run with which judges compare; recorded responses become a run of their own."""
    if wish.opponent_run_id:
        return Run.objects.filter(workspace=access.workspace, pk=wish.opponent_run_id).first()
    if wish.opponent_recorded:
        recorded = replace(
            wish, responses="recorded", alias="", cost_ceiling=None, token_ceiling=None, judges=(),
            variations=(),
        )  # fmt: skip
        plan = replace(plan, varied=(), trials_per_run=_trials(recorded, plan.items))
        model = model_by_name_only(access, wish.opponent_recorded)
        return _create_run(access, evaluation, plan, recorded, model)
    return runs[0]


def _version(access: Access, wish: Launch, problems: dict[str, list[str]]) -> DatasetVersion | None:
    version = ready_versions(access.workspace).filter(pk=wish.dataset_version_id or 0).first()
    if version is None:
        problems["dataset_version_id"].append("Choose a dataset version of this workspace.")
    return version


def _subset(
    access: Access, wish: Launch, version: DatasetVersion | None, problems: dict[str, list[str]]
) -> Subset | None:
    if not wish.subset_id or version is None:
        return None
    subset = subsets_of(access.workspace).filter(pk=wish.subset_id, dataset=version.dataset_id).first()
    if subset is None:
        problems["subset_id"].append(f"Choose a subset of {version.dataset.name}, or none.")
    return subset


def _targets(
    access: Access, wish: Launch, version: DatasetVersion | None, problems: dict[str, list[str]]
) -> list[Target]:
    wanted = list(dict.fromkeys(wish.model_ids))
    found = {model.pk: model for model in models_for(access.workspace).filter(pk__in=wanted)}
    missing = [str(pk) for pk in wanted if pk not in found]
    if missing:
        problems["model_ids"].append(f"No active model of this workspace: {', '.join(missing)}.")
    targets = [Target(found[pk], found[pk].name) for pk in wanted if pk in found]
    if wish.responses == "recorded":
        targets += [Target(None, name) for name in dict.fromkeys(wish.recorded_names)]
        known = set(version.response_models) if version else set()
        unknown = [target.name for target in targets if target.name not in known]
        if version and unknown:
            problems["recorded_names"].append(
                f"This version has no recorded responses of {', '.join(unknown)}."
            )
    elif wish.responses == BY_HAND:
        targets += by_hand.named_targets(wish.recorded_names)
    elif wish.responses == "fresh":
        silent = [target.title for target in targets if target.model and not target.model.is_callable]
        if silent:
            problems["model_ids"].append(
                f"By name only, so it cannot be called: {', '.join(silent)}. Use recorded responses."
            )
    else:
        problems["responses"].append("Choose fresh, recorded or by_hand.")
    if not targets and not problems["model_ids"]:
        problems["model_ids"].append("Choose at least one model.")
    if not problems["model_ids"]:
        del problems["model_ids"]
    return targets


def _check_numbers(wish: Launch, targets: Sequence[Target], problems: dict[str, list[str]]) -> None:
    bounds = {
        "epochs": (wish.epochs, 1, MAX_EPOCHS),
        "max_failures": (wish.max_failures, 1, 20),
        "concurrency": (wish.concurrency, 1, MAX_CONCURRENCY),
        "limit": (wish.limit, 1, MAX_TRIALS),
    }
    for name, (value, low, high) in bounds.items():
        if value is not None and not low <= value <= high:
            problems[name].append(f"From {low} to {high:,}.")
    for target in targets:
        provider = target.model.provider if target.model else None
        if provider and wish.responses == "fresh" and (wish.concurrency or 0) > provider.concurrency:
            problems["concurrency"].append(f"{provider.name} allows {provider.concurrency} at most.")
    if len(wish.alias) > 120 or len(wish.label) > 120:
        problems["alias" if len(wish.alias) > 120 else "label"].append("At most 120 characters.")
    _check_params(wish.params, problems)
    if not _is_storable(list(wish.sections)):
        problems["sections"].append("It holds a NUL character or half of a surrogate pair.")
    if not _is_storable(wish.params):
        problems["extra_body"].append("It holds a NUL character, half of a surrogate pair, or NaN.")
    if not _is_storable(wish.scorers):
        problems["scorers"].append("Their options hold a NUL character, half of a surrogate pair, or NaN.")


def _is_storable(value: Any) -> bool:
    """Whether it is JSON that every database takes."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=str)
        return "\\u0000" not in text and bool(text.encode())
    except (ValueError, RecursionError):
        return False


def _check_params(params: Mapping[str, Any], problems: dict[str, list[str]]) -> None:
    ranges = {"temperature": (0, 2), "top_p": (0, 1), "max_tokens": (1, 1_000_000)}
    for name, (low, high) in ranges.items():
        value = params.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            problems[name].append(f"From {low} to {high:,}.")
    if not isinstance(params.get("extra_body", {}), Mapping):
        problems["extra_body"].append('A JSON object, such as {"top_k": 40}.')
    reserved = {"model", "messages", "stream", "stream_options"} & set(params.get("extra_body") or {})
    if reserved:
        problems["extra_body"].append(f"Set by the portal itself: {', '.join(sorted(reserved))}.")


def _check_ceilings(
    access: Access, wish: Launch, targets: Sequence[Target], problems: dict[str, list[str]]
) -> None:
    unpriced = [
        target.title
        for target in targets
        if target.model and (target.model.input_price is None or target.model.output_price is None)
    ]
    problems |= ceiling_problems(
        wish.cost_ceiling,
        wish.token_ceiling,
        calls=wish.responses == "fresh" or bool(wish.judges) or any(map(measuring.asks_model, wish.scorers)),
        unpriced=unpriced
        + judging.unpriced_models(wish.judges)
        + measuring.unpriced_models(access.workspace, wish),
    )


def _check_scoring(access: Access, wish: Launch, problems: dict[str, list[str]]) -> None:
    problems_in_template = check_template(wish.template)
    if problems_in_template:
        problems["template"].extend(map(str, problems_in_template))
    if not wish.scorers and not wish.judges:
        problems["scorers"].append("Choose at least one scorer or judge.")
    names = [scorer_name(scorer) for scorer in wish.scorers]
    if len(set(names)) < len(names):
        problems["scorers"].append("Two scorers have one name; give each its own.")
    for scorer in wish.scorers:
        try:
            build_scorer(scorer["key"], dict(scorer.get("options") or {}))
        except UnknownPlugin as error:
            problems["scorers"].append(str(error))
        except BadOptions as error:
            problems["scorers"].append(f"{scorer['key']}: {error}")
    if asking := measuring.launch_problems(access.workspace, wish):
        problems["scorers"] += asking


def _create_run(
    access: Access, evaluation: Evaluation, plan: LaunchPlan, wish: Launch, model: RegisteredModel
) -> Run:
    assert plan.version is not None
    alias = wish.alias or model.title
    if wish.alias and len(plan.targets) > 1:
        alias = f"{wish.alias} · {model.title}"
    run = Run.objects.create(
        workspace=access.workspace,
        evaluation=evaluation,
        model=model,
        dataset_version=plan.version,
        alias=alias[:120],
        label=wish.label,
        total=plan.trials_per_run,
        created_by=access.actor,
        cost_ceiling=wish.cost_ceiling,
        token_ceiling=wish.token_ceiling,
        config=frozen_config(plan, wish, model),
        **by_hand.first_status(wish.responses),
    )
    _make_trials(run, plan, wish)
    measuring.begin(access, wish, run)
    LogLine.objects.create(
        run=run,
        at=timezone.now(),
        text=f"launched by {access.actor_label}: {model.title} on "
        f"{plan.version.dataset.name} v{plan.version.number}, "
        f"{plan.trials_per_run:,} trials",
    )
    return run


def _make_trials(run: Run, plan: LaunchPlan, wish: Launch) -> None:
    """Many are left to a worker, which reads what to make in the run's configuration."""
    many = plan.trials_per_run > making.MADE_AT_ONCE and wish.responses != BY_HAND
    if many and not (wish.item_ids or plan.subset or plan.varied):
        run.trials_made = False
        run.save(update_fields=["trials_made"])
        return
    column, given = ("id", wish.item_ids) if wish.item_ids else ("section", wish.sections)
    within = f"AND {column} IN ({', '.join(['%s'] * len(given))})" if given else ""
    drawn: Sequence[Any] = ()
    if plan.subset:
        kept, drawn = subset_items(plan.subset, run.dataset_version).values("pk").query.sql_with_params()
        within = f"AND id IN ({kept}) {within}"
    turns = wish.epochs * (1 + sum(len(each.items) for each in plan.varied))
    wanted, wanted_given = varying.turns_wanted(run.dataset_version, wish.epochs, plan.varied)
    making.insert_trials(
        run, turns=turns, limit=wish.limit, within=within, given=[*drawn, *given],
        wanted=wanted, wanted_given=wanted_given,
    )  # fmt: skip
    if plan.varied:  # a paraphrase may have been withdrawn since the plan
        run.total = run.trials.count()
        run.save(update_fields=["total"])
