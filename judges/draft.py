"""What a version of a judge is to be, as plain data that pages, API, admin and rubrics share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from judges.models import DECIDING, JudgeVersion, default_parameters, fields_of
from judges.rubrics.base import Rubric


@dataclass(frozen=True, kw_only=True)
class Draft:
    """The fields are those of Judge and JudgeVersion; `model_ids` are registered models, in order."""

    name: str = ""
    description: str = ""
    kind: str = "classify"
    system_template: str = ""
    user_template: str = ""
    labels: Sequence[Mapping[str, Any]] = ()
    minimum: float | None = None
    maximum: float | None = None
    threshold: float | None = None
    integer: bool = False
    both_orders: bool = True
    repeats: int = 1
    parameters: Mapping[str, Any] = field(default_factory=default_parameters)
    aggregate: str = "majority"
    min_votes: int = 1
    note: str = ""
    model_ids: Sequence[int] = ()

    @classmethod
    def of(cls, version: JudgeVersion) -> "Draft":
        """Loads judge and models. A model that was deleted is left out."""
        models = [row.model_id for row in version.judge_models.all() if row.model_id is not None]
        judge = version.judge
        values = fields_of(version) | ({"both_orders": True} if version.kind != "compare" else {})
        return cls(name=judge.name, description=judge.description, model_ids=models, **values)

    @classmethod
    def of_rubric(cls, rubric: Rubric) -> "Draft":
        return cls(
            name=rubric.title, description=rubric.description, kind=rubric.kind,
            system_template=rubric.system_template, user_template=rubric.user_template, **rubric.fields,
        )  # fmt: skip

    def changed(self, **values: Any) -> "Draft":
        return replace(self, **values)

    def version(self) -> JudgeVersion:
        """Unsaved, without judge and number."""
        values = {name: getattr(self, name) for name in (*DECIDING, "note")}
        values["labels"] = [_tidy(label) for label in self.labels]
        values["parameters"] = _plain_numbers(self.parameters)
        for name in ("minimum", "maximum", "threshold"):
            values[name] = None if values[name] is None else float(values[name])
        return JudgeVersion(**values)


def _tidy(label: Mapping[str, Any]) -> dict[str, Any]:
    """One spelling of a label, so that white space makes no new version."""
    words = {name: label.get(name, "") for name in ("label", "meaning")}
    tidy = {name: word.strip() if isinstance(word, str) else word for name, word in words.items()}
    return {**tidy, "passes": label.get("passes")}


def _plain_numbers(parameters: Any) -> Any:
    """0 and 0.0 are the same judge."""
    if not isinstance(parameters, Mapping):
        return parameters
    whole = {name: int(value) for name, value in parameters.items() if _is_whole(value)}
    return {**parameters, **whole}


def _is_whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer()
