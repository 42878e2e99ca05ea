"""What a pump needs to know of its run, as plain data read once per slice; and the work of its items."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from datasets.assets import asset_bytes
from datasets.models import Item, ItemAsset
from evalportal.lib.plugins import UnknownPlugin
from evalportal.lib.secret_fields import UndecryptableSecret
from judges.scorers import BadOptions, Scorer, build_scorer
from registry.client import Endpoint
from registry.models import Capability
from registry.selectors import registered_in
from runs.engine.leases import Claimed
from runs.models import Run

MAX_COST = 1_000  # dollars of one call; above it, the usage that the endpoint reports is nonsense


class CannotRun(Exception):
    """The run cannot go on before someone does something; the message says what."""


@dataclass(frozen=True, slots=True)
class Work:
    """A claimed trial with its item's content. `images` are (media type, base64); `lacks` says what
    of the item is gone, so that it cannot be asked."""

    trial: Claimed
    prompt: str
    messages: list[dict[str, Any]] | None
    choices: Sequence[str]
    references: Sequence[str]
    external_id: str
    metadata: Mapping[str, Any]
    recorded: str | None
    images: Sequence[tuple[str, str]] = ()
    lacks: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """The frozen configuration, with the endpoint as it is now."""

    run_id: int
    workspace_id: int
    total: int
    template: str
    params: Mapping[str, Any]
    scorers: Sequence[tuple[str, Scorer[Any]]]
    concurrency: int
    max_failures: int
    model: str
    endpoint: Endpoint | None
    provider: str
    provider_limit: int
    requests_per_minute: int | None
    streams: bool
    sees_images: bool
    recorded_names: Sequence[str]
    input_price: Decimal | None
    output_price: Decimal | None

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
    run = Run.objects.select_related("model__provider", "workspace").get(pk=run_id)
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
    prices = [Decimal(frozen[name]) if frozen.get(name) else None for name in ("input_price", "output_price")]
    return Plan(
        run_id=run_id,
        workspace_id=run.workspace_id,
        total=run.total,
        template=config["template"],
        params=_flat(config["params"]),
        scorers=[(each["name"], build_scorer(each["key"], each["options"])) for each in config["scorers"]],
        concurrency=config["concurrency"],
        max_failures=config["max_failures"],
        model=frozen["name"],
        endpoint=endpoint,
        provider=provider.name if provider else "",
        provider_limit=provider.concurrency if provider else 0,
        requests_per_minute=provider.requests_per_minute if provider else None,
        streams=Capability.STREAMING in frozen["capabilities"],
        sees_images=Capability.VISION in frozen["capabilities"],
        recorded_names=[name for name in (frozen["name"], frozen["alias"]) if name],
        input_price=prices[0],
        output_price=prices[1],
    )


def _flat(params: Mapping[str, Any]) -> dict[str, Any]:
    """`extra_body` joins the request body, as in OpenAI's own client."""
    return {
        **{key: value for key, value in params.items() if key != "extra_body"},
        **params.get("extra_body", {}),
    }


def load_work(plan: Plan, claimed: Sequence[Claimed]) -> list[Work]:
    """The items of claimed trials, in order; two queries, and the image files a seeing model is sent."""
    ids = {trial.item_id for trial in claimed}
    fields = ["pk", "prompt", "messages", "choices", "references", "external_id", "metadata"]
    if not plan.calls:
        fields.append("responses")
    items = {row["pk"]: row for row in Item.objects.filter(pk__in=ids).values(*fields)}
    images = _images(ids) if plan.sees_images and plan.calls else {}
    return [_work(plan, trial, items[trial.item_id], images.get(trial.item_id, ())) for trial in claimed]


def _work(plan: Plan, trial: Claimed, row: Mapping[str, Any], images: Sequence[tuple[str, str]]) -> Work:
    recorded = row.get("responses") or {}
    return Work(
        trial=trial,
        prompt=row["prompt"],
        messages=row["messages"],
        choices=row["choices"],
        references=row["references"],
        external_id=row["external_id"],
        metadata=row["metadata"],
        recorded=next((recorded[name] for name in plan.recorded_names if name in recorded), None),
        images=[image for image in images if image[1]],
        lacks="" if all(data for _, data in images) else "The file of its image is gone.",
    )


def _images(item_ids: set[int]) -> dict[int, list[tuple[str, str]]]:
    """(media type, base64) by item; the data is empty where the media folder lost the file."""
    found: dict[int, list[tuple[str, str]]] = {}
    for link in ItemAsset.objects.filter(item_id__in=item_ids).select_related("asset").order_by("position"):
        try:
            data = base64.b64encode(asset_bytes(link.asset)).decode()
        except OSError:
            data = ""
        found.setdefault(link.item_id, []).append((link.asset.media_type, data))
    return found
