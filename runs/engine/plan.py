"""What a pump needs to know of its run, as plain data read once per slice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from evalportal.lib.plugins import UnknownPlugin
from evalportal.lib.secret_fields import UndecryptableSecret
from judges.scorers import BadOptions, Scorer, build_scorer
from judges.scorers.semantic import Asked
from registry.client import Endpoint
from registry.models import Capability
from registry.selectors import registered_in
from runs.engine.asking import output_limit
from runs.engine.budgets import Ceilings, ceilings_of
from runs.engine.gates import Limits
from runs.engine.judging import Judge, judge_of
from runs.engine.leases import Claimed
from runs.models import BY_HAND, Run
from runs.variations import Variants, variants_of

ASSUMED_ANSWER = 1_024  # tokens, where neither the parameters nor experience say
MAX_COST = 1_000  # dollars of one call; above it, the usage that the endpoint reports is nonsense


class CannotRun(Exception):
    """The run cannot go on before someone does something; the message says what."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an earlier, identical call was answered, or what is known without one."""

    text: str
    finish_reason: str
    cached: bool = True


@dataclass(frozen=True, slots=True)
class Work:
    """A claimed trial with its item's content and the chat to send for it; `problem` says why nothing
    can be sent, `answer` that nothing need be."""

    trial: Claimed
    prompt: str
    choices: Sequence[str]
    references: Sequence[str]
    metadata: Mapping[str, Any]
    recorded: str | None = None
    chat: list[dict[str, Any]] = field(default_factory=list)
    problem: tuple[str, str] | None = None
    tokens: int = 0
    cache_key: str = ""
    answer: Answer | None = None
    embedded: Asked | None = None  # of semantic similarity

    @property
    def asks(self) -> bool:
        """Whether a call goes out for it."""
        return bool(self.chat) and self.answer is None


@dataclass(frozen=True, slots=True)
class Plan:
    """The frozen configuration, with the endpoint as it is now."""

    run_id: int
    workspace_id: int
    total: int
    variants: Variants
    params: Mapping[str, Any]
    scorers: Sequence[tuple[str, Scorer[Any]]]
    concurrency: int
    max_failures: int
    model: str
    endpoint: Endpoint | None
    provider: str
    limits: Limits
    streams: bool
    sees_images: bool
    recorded_names: Sequence[str]
    by_hand: bool
    input_price: Decimal | None
    output_price: Decimal | None
    cache_scope: Sequence[Any] | None
    ceilings: Ceilings | None
    answer_tokens: int
    judge: Judge | None = None

    @property
    def calls(self) -> bool:
        return self.endpoint is not None

    def cost(self, input_tokens: int | None, output_tokens: int | None) -> Decimal | None:
        """Dollars; None where a price or the usage is unknown, or beyond belief."""
        if (
            self.input_price is None
            or self.output_price is None
            or input_tokens is None
            or output_tokens is None
        ):
            return None
        cost = (input_tokens * self.input_price + output_tokens * self.output_price) / 1_000_000
        return cost if cost <= MAX_COST else None


def load_plan(run_id: int) -> Plan:
    """Reads the run with model and provider. Raises CannotRun with words that say what to do."""
    try:
        return _plan(run_id)
    except (BadOptions, UnknownPlugin, LookupError, TypeError, ValueError) as error:
        raise CannotRun(
            f"Its configuration cannot be used ({error}). Correct what is wrong and launch it again."
        ) from error


def _plan(run_id: int) -> Plan:
    run = Run.objects.select_related("model__provider", "workspace", "judged").get(pk=run_id)
    config, model = run.config, run.model
    frozen = config["model"]
    fresh = config["responses"] == "fresh"
    provider = model.provider if model else None
    if fresh and (model is None or provider is None):
        raise CannotRun("The model is no longer registered. Register it again and run this again with it.")
    if fresh and model and not registered_in(run.workspace).filter(pk=model.pk).exists():
        raise CannotRun(f"{model.title} or its provider now belongs to another workspace.")
    if fresh and model and provider and not (model.is_active and provider.is_active):
        raise CannotRun(
            f"{model.title} or its provider is switched off. Activate it in the admin, then resume."
        )
    try:
        endpoint = Endpoint.of(provider) if fresh and provider else None
    except UndecryptableSecret as error:
        raise CannotRun(f"The key of {provider} cannot be read: {error}. Then resume.") from error
    judge = judge_of(run)
    prices = [Decimal(frozen[name]) if frozen.get(name) else None for name in ("input_price", "output_price")]
    return Plan(
        run_id=run_id,
        workspace_id=run.workspace_id,
        total=run.judged.total * run.passes if run.judged else run.total,
        variants=variants_of(run.judged.config if run.judged else config, run.passes),
        params=_flat(config["params"]),
        scorers=[
            (each["name"], build_scorer(each["key"], each["options"]))
            for each in config["scorers"]
            if "judging" not in each
        ],
        concurrency=config["concurrency"],
        max_failures=config["max_failures"],
        model=frozen["name"],
        endpoint=endpoint,
        provider=provider.name if provider else "",
        limits=Limits(
            provider.concurrency if provider else 0,
            provider.requests_per_minute if provider else None,
            provider.tokens_per_minute if provider else None,
        ),
        streams=Capability.STREAMING in frozen["capabilities"],
        sees_images=Capability.VISION in frozen["capabilities"],
        recorded_names=[name for name in (frozen["name"], frozen["alias"]) if name],
        by_hand=config["responses"] == BY_HAND,
        input_price=prices[0],
        output_price=prices[1],
        cache_scope=_cache_scope(run) if fresh and config.get("cache") else None,
        ceilings=ceilings_of(run) if fresh else None,
        answer_tokens=0 if judge and judge.semantic else _answer_tokens(run),
        judge=judge,
    )


def _cache_scope(run: Run) -> Sequence[Any]:
    """All that makes a call identical beside its messages and epoch."""
    model = run.config["model"]
    return [run.workspace_id, model["protocol"], model["base_url"], model["name"], run.config["params"]]


def _answer_tokens(run: Run) -> int:
    """What is held back for an answer whose length nobody knows."""
    mean = run.output_tokens // run.done if run.done else 0
    return output_limit(run.config["params"]) or max(ASSUMED_ANSWER, 4 * mean)


def _flat(params: Mapping[str, Any]) -> dict[str, Any]:
    """`extra_body` joins the request body, as in OpenAI's own client."""
    return {
        **{key: value for key, value in params.items() if key != "extra_body"},
        **params.get("extra_body", {}),
    }
