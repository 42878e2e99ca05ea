"""Scorers that ask a registered model, as semantic similarity asks one that embeds: which model, what it
will take, and the judging that asks it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Any

from django.db.models import Avg, TextField
from django.db.models.functions import Cast, Length

from datasets.models import DatasetVersion, Item
from evalportal.lib.plugins import UnknownPlugin
from evalportal.lib.secret_fields import UndecryptableSecret
from judges.scorers import SCORERS, BadOptions, Subject, Verdict, build_scorer
from judges.scorers.base import unscored
from judges.scorers.semantic import Asked, Semantic
from judges.spending import MonthIsSpent, Purse, Used, Wanted, purse_of
from registry.client import CallFailed, Client, Embeddings, EmbedRequest, Endpoint
from registry.models import RegisteredModel
from registry.selectors import embedding_models_for
from runs.models import Run
from runs.services import judging
from runs.services.forecast import ASSUMED_OUTPUT_TOKENS, CHARS_PER_TOKEN
from runs.services.freezing import scorer_name
from runs.services.wish import Forecast, Launch, Target
from workspaces.access import Access
from workspaces.models import Workspace

PREVIEW_S = 15.0


@dataclass(frozen=True)
class Measure:
    """A scorer of a launch with the model that it asks."""

    name: str
    semantic: Semantic
    model: RegisteredModel


class NoSuchModel(Exception):
    """What is wrong with the model that was named, in words."""


def asks_model(scorer: Mapping[str, Any]) -> bool:
    """Whether a scorer of a launch asks a model; an unknown key is somebody else's problem."""
    try:
        return bool(SCORERS[scorer["key"]].asks_model)
    except (UnknownPlugin, KeyError, TypeError):
        return False


def embedding_model(workspace: Workspace, wanted: str) -> RegisteredModel:
    """The workspace's model that embeds, by exact name, alias or number. Raises NoSuchModel."""
    offered = list(embedding_models_for(workspace))
    known = ", ".join(model.title for model in offered[:10]) or "none is registered"
    named = [model for model in offered if wanted in (model.name, model.alias)]
    named = named or [model for model in offered if str(model.pk) == wanted]
    if not named:
        raise NoSuchModel(f"No active model of this workspace that embeds is named {wanted[:80]!r}: {known}.")
    if len(named) > 1:
        numbers = " or ".join(str(model.pk) for model in named)
        raise NoSuchModel(f"Several models that embed are named {wanted[:80]!r}; give a number: {numbers}.")
    return named[0]


def measures(workspace: Workspace, scorers: Sequence[Mapping[str, Any]]) -> list[Measure]:
    """Of those that ask a model. Raises NoSuchModel, BadOptions."""
    found = []
    for scorer in filter(asks_model, scorers):
        semantic = build_scorer(scorer["key"], dict(scorer.get("options") or {}))
        assert isinstance(semantic, Semantic)
        model = embedding_model(workspace, semantic.options.model)
        found.append(Measure(scorer_name(scorer), semantic, model))
    return found


def launch_problems(workspace: Workspace, wish: Launch) -> list[str]:
    """What is wrong with the models that the scorers ask; of wrong options others tell."""
    try:
        measures(workspace, wish.scorers)
    except NoSuchModel as problem:
        return [f"{Semantic.title}: {problem}"]
    except BadOptions:
        pass
    return []


def unpriced_models(workspace: Workspace, wish: Launch) -> list[str]:
    """Titles of models whose calls have no known cost."""
    try:
        found = measures(workspace, wish.scorers)
    except (NoSuchModel, BadOptions):
        return []
    return [each.model.title for each in found if each.model.input_price is None]


def forecasts(
    workspace: Workspace, version: DatasetVersion, wish: Launch, responses: int
) -> tuple[int, list[Forecast]]:
    """How many calls, and what they take: a response of the assumed length and its references."""
    try:
        found = measures(workspace, wish.scorers)
    except (NoSuchModel, BadOptions):
        return 0, []
    items = Item.objects.filter(version=version, position__lte=500) if found else Item.objects.none()
    mean = items.aggregate(mean=Avg(Length(Cast("references", TextField()))))["mean"] or 0
    response = Decimal(wish.params.get("max_tokens") or ASSUMED_OUTPUT_TOKENS)
    tokens = (Decimal(mean / CHARS_PER_TOKEN) + response) * responses
    return len(found) * responses, [
        Forecast(
            Target(each.model, each.model.name),
            int(tokens),
            None if each.model.input_price is None else tokens * each.model.input_price / 1_000_000,
            assumed=True,
        )
        for each in found
    ]


def begin(access: Access, wish: Launch, run: Run) -> None:
    """Makes the judgings of a checked launch for a new run, and notes them beside its scorers."""
    found = {each.name: each for each in measures(access.workspace, wish.scorers)}
    if not found:
        return
    terms = judging.terms_of(wish)
    entries = []
    for entry in run.config["scorers"]:
        if measure := found.get(entry["name"]):
            made = judging.create(
                access, run, measure.model, terms, scorer=measure.name,
                judge={"kind": Semantic.key, "options": asdict(measure.semantic.options),
                       "repeats": 1, "both_orders": False},
                params=dict(measure.model.default_params),
            )  # fmt: skip
            entry = {**entry, "judging": made.pk, "model": measure.model.title}
        entries.append(entry)
    run.config = {**run.config, "scorers": entries}
    run.save(update_fields=["config"])


# Trying


def likened(access: Access, semantic: Semantic, subjects: Sequence[Subject]) -> list[Verdict]:
    """The verdicts on a few responses, by one call, which counts in the workspace's month. Blocks and calls
    out: not inside a transaction."""
    asked = [semantic.asked(subject) for subject in subjects]
    texts = [text for each in asked if isinstance(each, Asked) for text in each.texts]
    try:
        model = embedding_model(access.workspace, semantic.options.model)
        vectors = iter(_embedded(purse_of(access.workspace.pk), model, texts))
    except (NoSuchModel, UndecryptableSecret, MonthIsSpent) as problem:
        return [each if isinstance(each, Verdict) else unscored(str(problem)) for each in asked]
    except CallFailed as failed:
        return [each if isinstance(each, Verdict) else unscored(failed.message) for each in asked]
    return [
        each
        if isinstance(each, Verdict)
        else semantic.verdict(semantic.read(each, [next(vectors) for _ in each.texts]))
        for each in asked
    ]


def _embedded(purse: Purse, model: RegisteredModel, texts: Sequence[str]) -> Sequence[Sequence[float]]:
    """Raises MonthIsSpent before anything is asked."""
    assert model.provider is not None
    if not texts:
        return []
    endpoint = Endpoint.of(model.provider)
    endpoint = replace(endpoint, timeout_s=min(endpoint.timeout_s, PREVIEW_S))

    request = EmbedRequest(model.name, texts, dict(model.default_params))

    async def ask() -> Embeddings:
        async with Client() as client:
            return await client.embed(endpoint, request)

    asked = [{"role": "user", "content": text} for text in texts]
    held, used = purse.hold([Wanted(model, asked, request.params)]), Used()
    try:
        found = asyncio.run(ask())
        used = Used(found.input_tokens)
    finally:
        purse.settle(held, [used])
    return found.vectors
