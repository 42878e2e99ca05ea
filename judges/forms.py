"""The editor of a judge: fields, typed errors at them, and the draft that they make."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from judges.draft import Draft
from judges.kinds import KINDS
from judges.models import AGGREGATES, default_parameters

SPARE_LABELS = 2
SHOWN_APART = ("temperature", "max_tokens")
NUMBER = "Give a number."
ENDS: dict[str, Any] = {"required": False, "error_messages": {"invalid": NUMBER}}


@dataclass(frozen=True)
class LabelRow:
    label: str = ""
    meaning: str = ""
    passes: bool = False


class JudgeForm(forms.Form):
    """Bound it takes a QueryDict. What the service finds wrong is put at the fields by `take_errors`."""

    name = forms.CharField(max_length=60)
    description = forms.CharField(max_length=300, required=False)
    kind = forms.ChoiceField(choices=[(key, KINDS[key].title) for key in KINDS])
    system_template = forms.CharField(required=False, strip=False, widget=forms.Textarea)
    user_template = forms.CharField(required=False, strip=False, widget=forms.Textarea)
    minimum = forms.FloatField(**ENDS)
    maximum = forms.FloatField(**ENDS)
    threshold = forms.FloatField(**ENDS)
    integer = forms.BooleanField(required=False)
    both_orders = forms.BooleanField(required=False)
    repeats = forms.IntegerField(required=False, error_messages={"invalid": "Give a whole number."})
    temperature = forms.FloatField(**ENDS)
    max_tokens = forms.IntegerField(required=False, error_messages={"invalid": "Give a whole number."})
    more = forms.CharField(required=False, label="Further parameters")
    aggregate = forms.ChoiceField(choices=list(AGGREGATES.items()), required=False)
    min_votes = forms.IntegerField(required=False, error_messages={"invalid": "Give a whole number."})
    note = forms.CharField(max_length=300, required=False)

    @classmethod
    def of(cls, draft: Draft) -> "JudgeForm":
        """Unbound, showing the draft."""
        further = {name: value for name, value in draft.parameters.items() if name not in SHOWN_APART}
        shown = {name: getattr(draft, name) for name in cls.base_fields if hasattr(draft, name)}
        shown |= {name: draft.parameters.get(name) for name in SHOWN_APART}
        form = cls(initial=shown | {"more": json.dumps(further) if further else ""})
        form.first_labels = draft.labels
        form.first_models = [str(pk) for pk in draft.model_ids]
        return form

    first_labels: Sequence[Mapping[str, Any]] = ()
    first_models: Sequence[str] = ()

    @property
    def labels(self) -> list[LabelRow]:
        """The rows that are filled in, as they were sent or as they are stored."""
        if not self.is_bound:
            return [
                LabelRow(each["label"], each.get("meaning", ""), each["passes"]) for each in self.first_labels
            ]
        sent: Any = self.data
        columns = (sent.getlist(name)[:50] for name in ("label", "meaning", "passes"))
        rows = [
            LabelRow(name.strip(), meaning.strip(), passes == "yes")
            for name, meaning, passes in zip(*columns, strict=False)
        ]
        return [row for row in rows if row.label or row.meaning]

    @property
    def label_rows(self) -> list[LabelRow]:
        """With empty ones to fill in; the first pair says what a pass and a fail are for."""
        filled = self.labels
        return [*filled, *(LabelRow(passes=not filled and not at) for at in range(SPARE_LABELS))]

    @property
    def chosen_models(self) -> list[str]:
        sent: Any = self.data
        return sent.getlist("models") if self.is_bound else list(self.first_models)

    def clean_more(self) -> dict[str, Any]:
        text = self.cleaned_data["more"].strip()
        try:
            found = json.loads(text) if text else {}
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise ValidationError('Give a JSON object, such as {"top_p": 1}.')
        return found

    def draft(self) -> Draft:
        """Of a valid form."""
        given = self.cleaned_data
        apart = {name: given[name] for name in SHOWN_APART if given[name] is not None}
        plain = ("name", "description", "kind", "system_template", "user_template", "minimum", "maximum",
                 "threshold", "integer", "both_orders", "note")  # fmt: skip
        return Draft(
            **{name: given[name] for name in plain},
            labels=[
                {"label": row.label, "meaning": row.meaning, "passes": row.passes} for row in self.labels
            ],
            repeats=1 if given["repeats"] is None else given["repeats"],
            parameters={**given["more"], **apart},
            aggregate=given["aggregate"] or "majority",
            min_votes=1 if given["min_votes"] is None else given["min_votes"],
            model_ids=[
                int(pk) for pk in self.chosen_models if pk.isascii() and pk.isdigit() and len(pk) < 19
            ],
        )

    def take_errors(self, error: ValidationError) -> None:
        """Under the fields that this form has for them; what has no field stands above all."""
        for name, texts in error.message_dict.items():
            for text in texts:
                place = self._place_of(name, text)
                self.add_error(place if place in self.fields else None, text)
                self.others.setdefault(place, []).append(text)

    @property
    def others(self) -> dict[str, list[str]]:
        """Errors of `labels` and `model_ids`, which are no fields of Django's."""
        kept: dict[str, list[str]] = self.__dict__.setdefault("_others", {})
        return kept

    def _place_of(self, name: str, text: str) -> str:
        if name != "parameters":
            return name
        return next((field for field in SHOWN_APART if text.startswith(field)), "more")


def blank_draft() -> Draft:
    """A judge that says pass or fail of a response."""
    labels = [
        {"label": "Pass", "meaning": "", "passes": True},
        {"label": "Fail", "meaning": "", "passes": False},
    ]
    template = "Question:\n{{ input }}\n\nReference answer:\n{{ reference }}\n\nResponse:\n{{ response }}\n"
    return Draft(
        labels=labels, user_template=template, minimum=1, maximum=5, threshold=4, integer=True,
        parameters=default_parameters(),
    )  # fmt: skip
