"""The launch sheet as a form: reads what was typed, hands a Launch to the service, shows its problems."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, cast

from django import forms
from django.http import QueryDict

from datasets.models import DatasetVersion, Subset
from datasets.selectors import pair_in, ready_versions
from datasets.subsets import subsets_of
from judges.scorers import BadOptions, build_scorer
from judges.scorers.numbers import read_number
from judges.templating import DEFAULT_TEMPLATE
from registry.models import RegisteredModel
from registry.selectors import embedding_models_for, models_for
from runs.models import BY_HAND, Run
from runs.scorer_forms import (
    FilterChoice,
    ScorerSlot,
    SlotGroup,
    filter_choices,
    grouped_slots,
    scorer_slots,
)
from runs.selectors_judges import Opponent, opponents_on, versions_offered
from runs.selectors_pages import first_items, last_run_on, recorded_names
from runs.services import Launch
from runs.services.measuring import asks_model
from runs.variation_forms import VariationSlot, variation_slots
from runs.variations import STRATEGIES
from workspaces.models import Workspace

# Fields of Launch → fields of this form
FORM_NAMES = {
    "dataset_version_id": "dataset_version",
    "model_ids": "models",
    "recorded_names": "recorded",
    "opponent_run_id": "opponent",
    "opponent_recorded": "opponent",
    "subset_id": "subset",
}
MODELS_FIELD = {"recorded": "recorded", BY_HAND: "by_hand_name"}
MOSTLY = 0.8
RESPONSES = [("fresh", "Ask the models"), ("recorded", "Recorded responses"), (BY_HAND, "Fill in by hand")]
PARAMS = ("temperature", "top_p", "max_tokens", "seed")


class LaunchForm(forms.Form):
    """Field types only; what may be launched is decided by `runs.services`."""

    responses = forms.ChoiceField(choices=RESPONSES)
    models = forms.TypedMultipleChoiceField(required=False, coerce=int)
    recorded = forms.MultipleChoiceField(required=False)
    several = forms.BooleanField(required=False)
    by_hand_name = forms.CharField(max_length=200, required=False)
    judges = forms.TypedMultipleChoiceField(required=False, coerce=int)
    opponent = forms.CharField(max_length=300, required=False)
    dataset_version = forms.TypedChoiceField(coerce=int, empty_value=None)
    alias = forms.CharField(max_length=120, required=False)
    label = forms.CharField(max_length=120, required=False)
    template = forms.CharField(required=False, strip=False, initial=DEFAULT_TEMPLATE)
    temperature = forms.FloatField(required=False)
    top_p = forms.FloatField(required=False)
    max_tokens = forms.IntegerField(required=False)
    seed = forms.IntegerField(required=False)
    stop = forms.CharField(required=False, strip=False)
    extra_body = forms.CharField(required=False)
    epochs = forms.IntegerField(required=False, initial=1)
    variations = forms.MultipleChoiceField(required=False, choices=[(key, key) for key in STRATEGIES])
    concurrency = forms.IntegerField(required=False)
    max_failures = forms.IntegerField(required=False, initial=5)
    limit = forms.IntegerField(required=False)
    subset = forms.TypedChoiceField(required=False, coerce=int, empty_value=None)
    cost_ceiling = forms.DecimalField(required=False, max_digits=14, decimal_places=4)
    token_ceiling = forms.IntegerField(required=False)
    cache = forms.BooleanField(required=False)
    dataset_shown = forms.CharField(required=False)  # the version that what is offered belongs to
    proposed_for = forms.CharField(required=False)  # the version that scoring and template were proposed for

    def __init__(self, workspace: Workspace, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.workspace = workspace
        self.like: Run | None = None
        self.pairs_lack_judge = False  # items are pairs, and no judge compares
        self.models_offered: list[RegisteredModel] = [
            model for model in models_for(workspace) if model.is_callable
        ]
        self.versions: list[DatasetVersion] = sorted(ready_versions(workspace)[:200], key=are_passages)
        self.judges_offered = versions_offered(workspace, self.initial.get("judges") or ())
        self._choices("judges", [(version.pk, version.judge.name) for version in self.judges_offered])
        self.subsets: list[Subset] = list(subsets_of(workspace).select_related("dataset")[:500])
        self._choices("subset", [("", ""), *((subset.pk, subset.name) for subset in self.subsets)])
        self._choices("models", [(model.pk, model.title) for model in self.models_offered])
        self._choices("dataset_version", [(version.pk, str(version)) for version in self.versions])
        self._choices("recorded", [(name, name) for name in recorded_names(workspace)])
        data = self.data if self.is_bound else None
        self._show(self.initial.get("scorers") or [])
        self.variations_offered = variation_slots(data, self.initial.get("variations") or [])

    def _show(self, scorers: Sequence[Mapping[str, Any]], *, sent: bool = True) -> None:
        """These as chosen, unless others were sent."""
        data = self.data if self.is_bound and sent else None
        self.slots = scorer_slots(data, scorers, {"embedding_model": self.embedding_models})

    @cached_property
    def embedding_models(self) -> list[tuple[str, str]]:
        """What semantic similarity may ask; one query."""
        return embedding_choices(self.workspace)

    def _choices(self, name: str, choices: Iterable[tuple[Any, str]]) -> None:
        chosen: Any = self.fields[name]
        chosen.choices = list(choices)

    @property
    def version(self) -> DatasetVersion | None:
        """The chosen version, else none."""
        chosen = str(self["dataset_version"].value() or "")
        return next((version for version in self.versions if str(version.pk) == chosen), None)

    @property
    def recorded_offered(self) -> list[str]:
        """Names to tick: the chosen version's, or all without one."""
        version = self.version
        return version.response_models if version else [name for name, _ in self.fields["recorded"].choices]  # type: ignore[attr-defined]

    @property
    def chosen_slots(self) -> list[ScorerSlot]:
        """In their order; the first one's verdict is the accuracy."""
        return [slot for slot in self.slots if slot.chosen]

    @property
    def chosen_variations(self) -> list[VariationSlot]:
        return [slot for slot in self.variations_offered if slot.chosen]

    @property
    def slot_groups(self) -> list[SlotGroup]:
        return grouped_slots(self.slots)

    @property
    def chosen_judges(self) -> set[str]:
        return {str(value) for value in self["judges"].value() or []}

    @property
    def opponents(self) -> list[Opponent]:
        """Whose responses the chosen version's may be compared with; one query."""
        return opponents_on(self.version) if self.version else []

    @property
    def filters(self) -> tuple[FilterChoice, ...]:
        return filter_choices()

    @property
    def chosen_models(self) -> set[str]:
        return {str(value) for value in self["models"].value() or []}

    @property
    def names_only(self) -> list[str]:
        """Models that are known by name only; one query."""
        return list(models_for(self.workspace).filter(provider=None).values_list("name", flat=True)[:200])

    @property
    def chosen_recorded(self) -> set[str]:
        return set(self["recorded"].value() or [])

    def choose_defaults(self) -> None:
        """A new launch: the newest version, the only model; template and scoring as they last were on this
        dataset, else a scorer that suits the items."""
        chosen = self.initial.get("dataset_version")
        asked = [version for version in self.versions if version.pk == chosen]
        version = next(iter(asked or self.versions), None)
        if version is None:
            return
        self.initial.setdefault("dataset_version", version.pk)
        pair = pair_in(version) if asked else []
        if pair:
            self._choose_pair(*pair)
        if version.response_models and (asked or not self.models_offered):
            self.initial.setdefault("responses", "recorded")
            self.initial.setdefault("recorded", version.response_models[:1])
        if len(self.models_offered) == 1:
            self.initial.setdefault("models", [self.models_offered[0].pk])
        usual = usual_on(version)
        self.like = usual.like
        self.initial.setdefault("template", usual.template)
        self.initial["proposed_for"] = version.pk
        compared = pair and self.initial["judges"] and usual.like is None
        self._show([] if compared else usual.scorers)

    @property
    def has_moved(self) -> bool:
        """Whether another dataset was chosen since the sheet was drawn."""
        chosen = self.data.get("dataset_version", "")
        return bool(self.data.get("dataset_shown", chosen) != chosen)

    def follow_dataset(self) -> bool:
        """Scoring and template as they usually are on the chosen dataset, where they still stand as they were
        proposed for another one; True if the sheet now shows others."""
        proposed_for = self.data.get("proposed_for")
        before = next((version for version in self.versions if str(version.pk) == proposed_for), None)
        if not before or not self.version or before == self.version:
            return False
        was, now = usual_on(before), usual_on(self.version)
        posted, template = self.chosen_slots, self["template"].value() or ""
        self._show(was.scorers, sent=False)
        changed = [slot.as_json() for slot in posted] != [slot.as_json() for slot in self.chosen_slots]
        if changed or template.splitlines() != was.template.splitlines():  # a browser sends other line ends
            self._show([])
            return False
        self._show(now.scorers, sent=False)
        self.like = now.like
        data = cast(QueryDict, self.data).copy()
        data["template"], data["proposed_for"] = now.template, str(self.version.pk)
        self.data = data
        return True

    def _choose_pair(self, a: str, b: str) -> None:
        """Response A against response B, by the first judge that compares."""
        comparing = [judge.pk for judge in self.judges_offered if judge.kind == "compare"]
        self.pairs_lack_judge = not comparing
        for name, value in (("recorded", [a]), ("opponent", f"recorded:{b}"), ("judges", comparing[:1])):
            self.initial.setdefault(name, value)

    def clean_extra_body(self) -> Any:
        text = self.cleaned_data["extra_body"].strip()
        try:
            body = json.loads(text) if text else {}
        except ValueError as error:
            raise forms.ValidationError(f"Not JSON: {error}") from error
        if not isinstance(body, dict):
            raise forms.ValidationError('A JSON object, such as {"top_k": 40}.')
        return body

    def clean(self) -> None:
        if self.cleaned_data.get("responses") == "recorded" and not self.cleaned_data.get("several"):
            for name, noun in (("recorded", "model"), ("judges", "judge")):
                if len(self.cleaned_data.get(name, [])) > 1:
                    self.add_error(name, f"Recorded responses take one {noun}, unless you allow several.")
        for slot in self.chosen_slots:
            try:
                build_scorer(slot.key, slot.options)
            except BadOptions as bad:
                slot.mark(bad)
                self.add_error(None, f"{slot.title}: {bad}")

    def launch(self) -> Launch:
        """What is wished for, as far as it could be read."""
        data = self.cleaned_data
        responses = data.get("responses", "fresh")
        fresh = responses == "fresh"
        scorers = [slot.as_json() for slot in self.chosen_slots]
        calls = fresh or bool(data.get("judges")) or any(map(asks_model, scorers))
        names = [data.get("by_hand_name", "")] if responses == BY_HAND else data.get("recorded", [])
        params = {name: data[name] for name in PARAMS if data.get(name) is not None}
        stop = [line for line in (data.get("stop") or "").splitlines() if line]
        if stop:
            params["stop"] = stop
        whose, _, opponent = data.get("opponent", "").partition(":")
        if data.get("extra_body"):
            params["extra_body"] = data["extra_body"]
        return Launch(
            dataset_version_id=data.get("dataset_version"),
            model_ids=data.get("models", []) if fresh else (),
            recorded_names=() if fresh else names,
            scorers=scorers,
            template=data.get("template") or DEFAULT_TEMPLATE,
            params=params if fresh else {},
            alias=data.get("alias", ""),
            label=data.get("label", ""),
            epochs=_or(data.get("epochs"), 1),
            variations=[slot.as_json() for slot in self.chosen_variations] if fresh else (),
            concurrency=data.get("concurrency"),
            max_failures=_or(data.get("max_failures"), 5),
            limit=data.get("limit"),
            subset_id=data.get("subset"),
            responses=responses,
            cost_ceiling=data.get("cost_ceiling") if calls else None,
            token_ceiling=data.get("token_ceiling") if calls else None,
            cache=calls and data.get("cache", False),
            judges=[version for version in self.judges_offered if version.pk in data.get("judges", [])],
            opponent_run_id=int(opponent) if whose == "run" and opponent.isdigit() else None,
            opponent_recorded=opponent if whose == "recorded" else "",
        )

    def add_problems(self, problems: Mapping[str, Sequence[str]]) -> None:
        """The service's problems, beside the fields they are about."""
        for name, messages in problems.items():
            target = FORM_NAMES.get(name, name)
            if name in ("model_ids", "recorded_names"):
                target = MODELS_FIELD.get(self.cleaned_data.get("responses", ""), target)
            known = target in self.fields and not self.errors.get(target)
            for message in messages:
                if target == "scorers" or known:
                    self.add_error(None if target == "scorers" else target, message)
                elif target not in self.fields:
                    self.add_error(None, message)


def embedding_choices(workspace: Workspace) -> list[tuple[str, str]]:
    """Names of models that embed, or numbers where a name is not alone; and their words."""
    models = list(embedding_models_for(workspace))
    names = Counter(name for model in models for name in {model.name, model.alias})
    return [
        (model.name if names[model.name] == 1 else str(model.pk), f"{model.title}, {model.provider}")
        for model in models
    ]


@dataclass(frozen=True)
class Usual:
    """How a dataset is scored and asked, by its last run (`like`) or else by its items."""

    scorers: Sequence[Mapping[str, Any]]
    template: str
    like: Run | None


def usual_on(version: DatasetVersion) -> Usual:
    like = last_run_on(version)
    if like is None:
        return Usual([{"key": fitting_scorer(version)}], DEFAULT_TEMPLATE, None)
    return Usual(like.config.get("scorers", []), like.config.get("template", DEFAULT_TEMPLATE), like)


def fitting_scorer(version: DatasetVersion) -> str:
    """By the first items: multiple choice with choices, numeric with numbers to match, else exact match."""
    sample = first_items(version, 40)
    with_choices = sum(1 for item in sample if item.choices)
    with_number = sum(
        1 for item in sample if any(read_number(str(text), fallback=False) for text in item.references)
    )
    if sample and with_choices > MOSTLY * len(sample):
        return "multiple_choice"
    return "numeric" if sample and with_number > MOSTLY * len(sample) else "exact_match"


def are_passages(version: DatasetVersion) -> bool:
    """Of documents, for drafting: launched on by query generation, seldom by people."""
    return bool(version.origin.get("kind") == "passages")


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def initial_of_run(run: Run) -> dict[str, Any]:
    """What “Run again” starts from: the run's frozen configuration."""
    config, params = run.config, dict(run.config.get("params", {}))
    recorded = config.get("responses") == "recorded"
    by_hand = config.get("responses") == BY_HAND
    stop = params.pop("stop", [])
    extra = params.pop("extra_body", {})
    judges = [judge["version"] for judge in config.get("judges", []) if not judge["panel"]]
    return {
        **{name: value for name, value in params.items() if name in PARAMS},
        "stop": "\n".join([stop] if isinstance(stop, str) else stop),
        "extra_body": json.dumps(extra, ensure_ascii=False) if extra else "",
        "responses": config.get("responses", "fresh"),
        "models": [run.model_id] if run.model_id and not recorded and not by_hand else [],
        "recorded": [config["model"]["name"]] if recorded else [],
        "by_hand_name": config["model"]["name"] if by_hand else "",
        "dataset_version": run.dataset_version_id,
        "alias": run.alias,
        "label": run.label,
        "template": config.get("template", DEFAULT_TEMPLATE),
        "scorers": config.get("scorers", []),
        "judges": judges,
        "several": recorded and len(judges) > 1,
        "opponent": next(
            (f"run:{judge['opponent']}" for judge in config.get("judges", []) if judge["opponent"]), ""
        ),
        "epochs": config.get("epochs", 1),
        "variations": config.get("variations", []),
        "limit": config.get("limit"),
        "subset": config["dataset"].get("subset", {}).get("id"),
        "concurrency": None if recorded or by_hand else config.get("concurrency"),
        "max_failures": config.get("max_failures", 5),
        "cost_ceiling": None if run.cost_ceiling is None else shortest(run.cost_ceiling),
        "token_ceiling": run.token_ceiling,
        "cache": config.get("cache", False),
    }


class CeilingForm(forms.Form):
    """The ceilings of a run that waits; one that is left out stays as it is."""

    cost_ceiling = forms.DecimalField(required=False, max_digits=14, decimal_places=4)
    token_ceiling = forms.IntegerField(required=False)

    def ceilings(self, run: Run) -> dict[str, Any]:
        """After `is_valid`: both, for the service."""
        given = {name: self.cleaned_data[name] for name in self.fields if name in self.data}
        return {
            "cost": given.get("cost_ceiling", run.cost_ceiling),
            "tokens": given.get("token_ceiling", run.token_ceiling),
        }


def shortest(value: Decimal) -> str:
    """2.0000 → 2"""
    return f"{value.normalize():f}"
