"""Trials as metrics see them, what every metric over them shares, and the same figure by section."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from judges.metrics import Estimate
from judges.options import Configurable, OptionsT, option


@dataclass(frozen=True, slots=True)
class ScoredTrial:
    """One trial with one scorer's verdict. Errored: there is no response; unscored: no value."""

    item: Hashable
    epoch: int = 1
    section: str = ""
    value: float | None = None
    passed: bool | None = None
    answer: str = ""
    response: str = ""
    references: Sequence[str] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    errored: bool = False
    weight: float = 1.0  # of its item


@dataclass(frozen=True, kw_only=True)
class ClusterOptions:
    """Of metrics whose interval can respect that trials hang together."""

    cluster: str = option(
        "",
        help="A metadata key: items with the same value vary together, which widens the interval; empty: "
        "only the epochs of an item do",
    )


class TrialMetric(Configurable[OptionsT], ABC):
    """A figure over trials. Pure: the same trials in the same order give the same figure."""

    unit: ClassVar[str] = "share"  # of 0..1; "value" has the scorer's own scale
    Options: ClassVar[type[Any]] = ClusterOptions

    @abstractmethod
    def compute(self, trials: Sequence[ScoredTrial]) -> Estimate:
        """Never raises on any trials; without data there is no value."""


@dataclass(frozen=True, slots=True)
class Sectioned:
    """A metric over all trials, and over those of each section in the order in which they first occur."""

    overall: Estimate
    sections: Mapping[str, Estimate]


def by_section(metric: TrialMetric[Any], trials: Sequence[ScoredTrial]) -> Sectioned:
    groups = grouped(trials, [trial.section for trial in trials])
    return Sectioned(metric.compute(trials), {name: metric.compute(group) for name, group in groups.items()})


def grouped(trials: Sequence[ScoredTrial], keys: Iterable[Hashable]) -> dict[Any, list[ScoredTrial]]:
    groups: dict[Any, list[ScoredTrial]] = {}
    for trial, key in zip(trials, keys, strict=True):
        groups.setdefault(key, []).append(trial)
    return groups


def clusters_of(trials: Sequence[ScoredTrial], key: str = "") -> list[Hashable]:
    """What each trial hangs together with: equal metadata, else its item. An item without it stands alone."""
    if not key:
        return [trial.item for trial in trials]
    return [
        ("value", str(trial.metadata[key])) if key in trial.metadata else ("item", trial.item)
        for trial in trials
    ]


def scored_only(trials: Sequence[ScoredTrial]) -> list[ScoredTrial]:
    return [trial for trial in trials if trial.value is not None and not trial.errored]


def denominator(counted: int, noun: str, trials: Sequence[ScoredTrial]) -> str:
    """Such as “40 scored trials; 2 unscored and 1 errored not counted”."""
    errored = sum(trial.errored for trial in trials)
    unscored = sum(trial.value is None and not trial.errored for trial in trials)
    out = [f"{count:,} {word}" for count, word in ((unscored, "unscored"), (errored, "errored")) if count]
    return f"{counted:,} {noun}" + (f"; {' and '.join(out)} not counted" if out else "")


def described(estimate: Estimate, words: str, interval: str = "") -> Estimate:
    return replace(estimate, denominator=words, interval=interval if estimate.low is not None else "")
