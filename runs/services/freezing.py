"""What a run keeps of its launch for ever: plain data, no secrets."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from datasets.subsets import subset_frozen
from judges.scorers import SCORERS
from registry.models import RegisteredModel
from runs.services import forecast
from runs.services.wish import Launch, LaunchPlan, Target


def scorer_name(scorer: Mapping[str, Any]) -> str:
    return str(scorer.get("name") or scorer["key"])


def frozen_config(plan: LaunchPlan, wish: Launch, model: RegisteredModel) -> dict[str, Any]:
    assert plan.version is not None
    params = {
        **model.default_params,
        **{key: value for key, value in wish.params.items() if value not in (None, "", [])},
    }
    return {
        "template": wish.template,
        "params": params,
        "scorers": [
            {
                "key": scorer["key"],
                "name": scorer_name(scorer),
                "options": dict(scorer.get("options") or {}),
                "title": SCORERS[scorer["key"]].title,
            }
            for scorer in sorted(wish.scorers, key=_asks_model)
        ],
        "epochs": wish.epochs,
        **_variations(plan),
        "limit": wish.limit,
        "sections": list(wish.sections),
        "item_ids": list(wish.item_ids),
        "concurrency": forecast.concurrency_of(Target(model, model.name), wish),
        "max_failures": wish.max_failures,
        "responses": wish.responses,
        "cache": wish.cache and wish.responses == "fresh",
        "model": frozen_model(model),
        "dataset": {
            "name": plan.version.dataset.name,
            "version": plan.version.number,
            "content_hash": plan.version.content_hash,
            **_subset(plan, wish),
        },
    }


def _asks_model(scorer: Mapping[str, Any]) -> bool:
    """Those that ask a model come last: the first one's verdict is the trial's own as soon as it is there."""
    return bool(SCORERS[scorer["key"]].asks_model)


def _subset(plan: LaunchPlan, wish: Launch) -> dict[str, Any]:
    """The saved part that was asked for, as it was defined then."""
    if plan.subset is None:
        return {}
    return {"subset": subset_frozen(plan.subset, plan.items)}


def _variations(plan: LaunchPlan) -> dict[str, Any]:
    """Strategies with all their options, so that a later default changes nothing; nothing without any."""
    frozen = [
        {
            "key": each.strategy.key,
            "title": each.strategy.title,
            "options": asdict(each.strategy.options),
            "titles": list(each.strategy.titles),
        }
        for each in plan.varied
    ]
    return {"variations": frozen} if frozen else {}


def frozen_model(model: RegisteredModel) -> dict[str, Any]:
    """Loads the provider."""
    provider = model.provider
    return {
        "name": model.name,
        "alias": model.alias,
        "source": model.source,
        "provider": provider.name if provider else "",
        "protocol": provider.protocol if provider else "",
        "base_url": _public(provider.base_url) if provider else "",
        "capabilities": model.capabilities,
        "input_price": str(model.input_price) if model.input_price is not None else None,
        "output_price": _output_price(model),
    }


def _output_price(model: RegisteredModel) -> str | None:
    """Vectors cost what the texts cost."""
    if model.output_price is None:
        return "0" if model.embeds else None
    return str(model.output_price)


def _public(base_url: str) -> str:
    """Without the query, which may hold a key: members and exports see it."""
    return base_url.partition("?")[0]
