"""Benchmarks as forms: types of fields only; what a benchmark can be is decided by `benchmarks.checking`."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms

from benchmarks.models import Benchmark, BenchmarkPart, Measure, Phase
from benchmarks.selectors import parts_of
from benchmarks.wish import BenchmarkWish, PartWish, PhaseWish
from datasets.selectors import ready_versions
from datasets.subsets import subsets_of
from judges.models import JudgeVersion
from judges.scorers import SCORERS
from judges.templating import DEFAULT_TEMPLATE
from workspaces.models import Workspace

MOST_LISTED = 200
MOMENT = "%Y-%m-%dT%H:%M"


class JsonField(forms.CharField):
    """A JSON object as text."""

    def to_python(self, value: Any) -> Any:
        text = str(super().to_python(value) or "").strip()
        try:
            found = json.loads(text) if text else {}
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError(f"Not JSON: {error}") from error
        if not isinstance(found, dict):
            raise forms.ValidationError('A JSON object, such as {"temperature": 0}.')
        return found

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return json.dumps(value, ensure_ascii=False) if value else ""
        return value


class LinesField(forms.CharField):
    """One entry a line."""

    def to_python(self, value: Any) -> Any:
        lines = str(super().to_python(value) or "").splitlines()
        return [line.strip() for line in lines if line.strip()]

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value


class NameForm(forms.Form):
    name = forms.CharField(max_length=120)
    summary = forms.CharField(required=False, strip=False, max_length=20_000)


class PartForm(forms.Form):
    """One dataset with prompt and scoring."""

    version = forms.TypedChoiceField(coerce=int, empty_value=None, required=False)
    scorer = forms.ChoiceField(required=False, choices=[("", "None")] + [(key, key) for key in SCORERS])
    scorer_name = forms.CharField(required=False, max_length=80)
    options = JsonField(required=False)
    also = forms.MultipleChoiceField(
        required=False, choices=[(key, key) for key in SCORERS], widget=forms.CheckboxSelectMultiple
    )
    judges = forms.TypedMultipleChoiceField(required=False, coerce=int, widget=forms.CheckboxSelectMultiple)
    primary = forms.CharField(required=False, max_length=80)
    measure = forms.ChoiceField(choices=Measure.choices, initial=Measure.SHARE)
    weight = forms.FloatField(initial=1.0)
    subset = forms.TypedChoiceField(coerce=int, empty_value=None, required=False)
    sections = LinesField(required=False)
    limit = forms.IntegerField(required=False)
    template = forms.CharField(required=False, strip=False, initial=DEFAULT_TEMPLATE)
    params = JsonField(required=False)

    def __init__(self, *args: Any, listed: "Listed", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._choices("version", [("", "Choose a dataset version"), *listed.versions])
        self._choices("judges", listed.judges)
        self._choices("subset", [("", "All items"), *listed.subsets])

    def _choices(self, name: str, choices: Sequence[tuple[Any, str]]) -> None:
        chosen: Any = self.fields[name]
        chosen.choices = choices

    def wish(self) -> PartWish:
        """After `is_valid`."""
        data = self.cleaned_data
        key = data["scorer"]
        main = {"key": key, "name": data["scorer_name"] or key, "options": data["options"]}
        scorers = [main] if key else []
        scorers += [{"key": other, "name": other, "options": {}} for other in data["also"] if other != key]
        return PartWish(
            version_id=data["version"],
            scorers=scorers,
            judge_ids=data["judges"],
            subset_id=data["subset"],
            sections=data["sections"],
            limit=data["limit"],
            template=data["template"] or DEFAULT_TEMPLATE,
            params=data["params"],
            primary=data["primary"],
            measure=data["measure"],
            weight=data["weight"],
        )


class PhaseForm(forms.Form):
    """One phase; moments are UTC."""

    id = forms.IntegerField(required=False)
    name = forms.CharField(required=False, max_length=80)
    starts_at = forms.DateTimeField(required=False, input_formats=[MOMENT])
    ends_at = forms.DateTimeField(required=False, input_formats=[MOMENT])
    sections = LinesField(required=False)
    limit = forms.IntegerField(required=False)
    most_runs = forms.IntegerField(required=False)
    most_per = forms.ChoiceField(choices=Phase.Per.choices, initial=Phase.Per.MODEL, required=False)

    def wish(self) -> PhaseWish:
        """After `is_valid`."""
        data = {key: value for key, value in self.cleaned_data.items() if key != "DELETE"}
        return PhaseWish(**(data | {"most_per": data["most_per"] or "model"}))


class Listed:
    """What the selects offer; four queries for the whole page."""

    def __init__(self, workspace: Workspace) -> None:
        self.versions = [
            (row.pk, f"{row.dataset.name} v{row.number}, {row.item_count:,} items")
            for row in ready_versions(workspace)[:MOST_LISTED]
        ]
        subsets = subsets_of(workspace).select_related("dataset")[:MOST_LISTED]
        self.subsets = [(row.pk, f"{row.dataset.name}: {row.name}") for row in subsets]
        judges = JudgeVersion.objects.filter(judge__workspace=workspace, judge__archived_at=None)
        rows = judges.exclude(kind="compare").select_related("judge").order_by("judge__name", "-number")
        self.judges = [(row.pk, f"{row.judge.name} v{row.number}") for row in rows[:MOST_LISTED]]


class BenchmarkForm:
    """Name and summary, a form for each part and each phase."""

    def __init__(
        self,
        workspace: Workspace,
        data: Any = None,
        *,
        old: Benchmark | None = None,
        version: int | None = None,
    ) -> None:
        self.old = old
        self.problems: list[str] = []
        parts = forms.formset_factory(PartForm, extra=0, can_delete=True, max_num=40)
        phases = forms.formset_factory(PhaseForm, extra=0, can_delete=True, max_num=40)
        first: list[dict[str, Any]] = [{"version": version}]
        kwargs = {"listed": Listed(workspace)}
        self.head = NameForm(data, initial={"name": old.name, "summary": old.summary} if old else {})
        self.parts = parts(
            data, prefix="part", form_kwargs=kwargs,
            initial=[initial_of_part(part) for part in parts_of(old)] if old else first,
        )  # fmt: skip
        self.phases = phases(
            data,
            prefix="phase",
            initial=[initial_of_phase(phase) for phase in old.phases.all()] if old else [],
        )

    def is_valid(self) -> bool:
        valid = [self.head.is_valid(), self.parts.is_valid(), self.phases.is_valid()]
        return all(valid)

    def wish(self) -> BenchmarkWish:
        """After `is_valid`."""
        kept = [form for form in self.parts if not form.cleaned_data.get("DELETE")]
        phases = [form for form in self.phases if not form.cleaned_data.get("DELETE")]
        return BenchmarkWish(
            name=self.head.cleaned_data["name"],
            summary=self.head.cleaned_data["summary"],
            parts=[form.wish() for form in kept],
            phases=[form.wish() for form in phases if form.cleaned_data.get("name")],
        )

    def add_problems(self, problems: Mapping[str, Sequence[str]]) -> None:
        """The service's problems, beside their part or phase, else above the form."""
        kept = [form for form in self.parts if not form.cleaned_data.get("DELETE")]
        for name, texts in problems.items():
            area, _, rest = name.partition(".")
            number, _, field = rest.partition(".")
            forms_of = _of_area(area, kept, list(self.phases))
            at = int(number) - 1 if number.isdigit() else -1
            for text in texts:
                if area in self.head.fields:
                    self.head.add_error(area, text)
                elif 0 <= at < len(forms_of):
                    self._mark(forms_of[at], FIELDS.get(field, field), text)
                else:
                    self.problems.append(text)

    @staticmethod
    def _mark(form: Any, field: str, text: str) -> None:
        form.add_error(field if field in form.fields else None, text)


def _of_area(area: str, parts: list[Any], phases: list[Any]) -> list[Any]:
    return parts if area == "parts" else phases if area == "phases" else []


FIELDS = {"version_id": "version", "subset_id": "subset", "judge_ids": "judges", "scorers": "scorer"}


def initial_of_part(part: BenchmarkPart) -> dict[str, Any]:
    first: Mapping[str, Any] = next(iter(part.scorers), {})
    return {
        "version": part.version_id,
        "scorer": first.get("key", ""),
        "scorer_name": first.get("name", "") if first.get("name") != first.get("key") else "",
        "options": first.get("options") or {},
        "also": [scorer["key"] for scorer in part.scorers[1:]],
        "judges": [judge.pk for judge in part.judges.all()],
        "primary": part.primary,
        "measure": part.measure,
        "weight": part.weight,
        "subset": part.subset.get("id"),
        "sections": part.sections,
        "limit": part.limit,
        "template": part.template,
        "params": part.params,
    }


def initial_of_phase(phase: Phase) -> dict[str, Any]:
    return {
        "id": phase.pk,
        "name": phase.name,
        "starts_at": phase.starts_at.strftime(MOMENT) if phase.starts_at else None,
        "ends_at": phase.ends_at.strftime(MOMENT) if phase.ends_at else None,
        "sections": phase.sections,
        "limit": phase.limit,
        "most_runs": phase.most_runs,
        "most_per": phase.most_per,
    }
