"""What is to be launched, and what is foretold of it: plain data that services, pages and API share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from datasets.models import DatasetVersion, Subset
from judges.models import JudgeVersion
from judges.templating import DEFAULT_TEMPLATE
from registry.models import RegisteredModel
from runs.selectors_budget import Month, Spent
from runs.variations import Strategy


class LaunchProblems(Exception):
    """The launch cannot be made; `problems` maps a field of Launch to messages."""

    def __init__(self, problems: Mapping[str, Sequence[str]]):
        self.problems = {name: list(messages) for name, messages in problems.items()}
        super().__init__("; ".join(f"{name}: {' '.join(texts)}" for name, texts in self.problems.items()))


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What is to be launched. `recorded_names` are models without an endpoint: of the version's recorded
    responses, or (`by_hand`) to be filled in by people.

    The ceilings are each run's own, in dollars and in tokens; `cache` reuses the workspace's answers.
    `judges` are asked about each run's responses. Those that compare need others: of an earlier run, of the
    version's recorded responses, or else of the launch's first model.
    `sections` narrows the version to those of its sections, `limit` to the first items of what is left;
    `item_ids` names items alone, a few. `subset_id` is a saved part of the dataset, taken before the others.
    `variations` ([{"key", "options"}], docs/adr/0008-variations.md) asks each item in other ways too.
    """

    dataset_version_id: int | None
    model_ids: Sequence[int] = ()
    recorded_names: Sequence[str] = ()
    scorers: Sequence[Mapping[str, Any]] = ()
    template: str = DEFAULT_TEMPLATE
    params: Mapping[str, Any] = field(default_factory=dict)
    alias: str = ""
    label: str = ""
    name: str = ""
    epochs: int = 1
    variations: Sequence[Mapping[str, Any]] = ()
    concurrency: int | None = None
    max_failures: int = 5
    limit: int | None = None
    sections: Sequence[str] = ()
    item_ids: Sequence[int] = ()
    subset_id: int | None = None
    responses: str = "fresh"
    cost_ceiling: Decimal | None = None
    token_ceiling: int | None = None
    cache: bool = False
    judges: Sequence[JudgeVersion] = ()
    opponent_run_id: int | None = None
    opponent_recorded: str = ""


@dataclass(frozen=True)
class Target:
    """One model of the launch, or a name whose recorded responses are scored."""

    model: RegisteredModel | None
    name: str

    @property
    def title(self) -> str:
        return self.model.title if self.model else self.name


@dataclass(frozen=True)
class Forecast:
    """What one run will use. `cost` is dollars, None where a price is unknown; `assumed` without a past.
    `band` is the least and the most that it may come to."""

    target: Target
    tokens: int
    cost: Decimal | None
    assumed: bool
    band: tuple[Decimal, Decimal] | None = None


@dataclass(frozen=True)
class Varied:
    """A strategy of the launch: by its variants, how many of the launch's items each can vary."""

    strategy: Strategy[Any]
    items: Sequence[int]


@dataclass(frozen=True)
class LaunchPlan:
    """What a launch will do, before it does. Costs are dollars; None where a price is unknown."""

    version: DatasetVersion | None
    targets: Sequence[Target]
    trials_per_run: int
    calls: int
    judge_calls: int  # of those
    tokens: int
    cost: Decimal | None
    cost_basis: str
    duration_s: float | None
    half_width: float | None
    concurrency: int
    month: Month
    problems: Mapping[str, list[str]]
    warnings: Sequence[str] = ()
    bars: Sequence[Spent] = ()
    subset: Subset | None = None
    items: int = 0
    varied: Sequence[Varied] = ()
    cost_band: tuple[Decimal, Decimal] | None = None
