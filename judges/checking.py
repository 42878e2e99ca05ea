"""Everything that is wrong with a draft, by field, before anything is stored; and what deserves a note."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite
from typing import Any

from django.core.exceptions import ValidationError

from judges.asking import columns_named, judge_messages, template_problems
from judges.draft import Draft
from judges.kinds import KINDS
from judges.models import MOST_MODELS, JudgeModel, JudgeVersion, fields_of
from judges.selectors import Sampled, usable_models
from judges.templating import TemplateProblem
from registry.models import RegisteredModel
from workspaces.models import Workspace

RANGES = {"temperature": (0, 2), "top_p": (0, 1), "max_tokens": (1, 1_000_000)}
TAKEN = frozenset({"model", "messages", "stream", "stream_options", "response_format", "extra_body", "n"})
LITTLE_ROOM = 512


@dataclass(frozen=True)
class Checked:
    """A draft that can be stored or asked: its unsaved version, and the models in order."""

    version: JudgeVersion
    models: Sequence[RegisteredModel]

    def rows(self) -> list[JudgeModel]:
        """Unsaved, without the version."""
        return [
            JudgeModel(
                model=model, name=model.name, alias=model.alias, position=at,
                provider=model.provider.name if model.provider else "",
            )
            for at, model in enumerate(self.models, 1)
        ]  # fmt: skip

    def frozen(self) -> dict[str, Any]:
        """As of `judges.models.frozen`, for asking before it is stored."""
        return {"version_id": None, "judge_id": None, "judge": "", "number": 0, "fingerprint": "",
                **fields_of(self.version), "models": []}  # fmt: skip


def checked(workspace: Workspace, draft: Draft, sampled: Sampled | None = None) -> Checked:
    """With a sample, metadata columns that it lacks are wrong too. Raises ValidationError by field."""
    problems: defaultdict[str, list[str]] = defaultdict(list)
    version = draft.version()
    try:
        version.full_clean(exclude=["judge", "number", "fingerprint"], validate_constraints=False)
    except ValidationError as error:
        problems.update(error.message_dict)
    _check_parameters(draft.parameters, problems)
    models = _check_models(workspace, draft, problems)
    if draft.kind in KINDS:
        for field, found in template_problems(draft.kind, draft.system_template, draft.user_template).items():
            problems[field] = found
        if sampled and not {"system_template", "user_template"} & set(problems):
            _check_columns(version, sampled, problems)
    if problems:
        raise ValidationError(dict(problems))
    return Checked(version, models)


def _check_models(
    workspace: Workspace, draft: Draft, problems: defaultdict[str, list[str]]
) -> list[RegisteredModel]:
    ids = list(dict.fromkeys(draft.model_ids))
    known = {model.pk: model for model in usable_models(workspace).filter(pk__in=ids)}
    gone = [str(pk) for pk in ids if pk not in known]
    if not ids:
        problems["model_ids"] = ["Choose the model that judges."]
    elif gone:
        problems["model_ids"] = [f"Not a model that can be asked here: {', '.join(gone)}."]
    elif len(ids) > MOST_MODELS:
        problems["model_ids"] = [f"At most {MOST_MODELS} models make a panel."]
    elif not 1 <= draft.min_votes <= len(ids):
        problems["min_votes"] = [f"From 1 to the number of judge models, {len(ids)}."]
    return [known[pk] for pk in ids if pk in known]


def _check_parameters(parameters: Mapping[str, Any], problems: defaultdict[str, list[str]]) -> None:
    if not isinstance(parameters, dict):
        return
    for name, (low, high) in RANGES.items():
        value = parameters.get(name)
        number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
        whole = name != "max_tokens" or isinstance(value, int)
        if value is not None and not (number and whole and low <= value <= high):
            problems["parameters"].append(f"{name} is a number from {low} to {high:,}.")
    taken = sorted(TAKEN & set(parameters))
    if taken:
        problems["parameters"].append(f"Set by the portal itself: {', '.join(taken)}.")


def _check_columns(version: JudgeVersion, sampled: Sampled, problems: defaultdict[str, list[str]]) -> None:
    """The columns that are named, then the template itself on the first item."""
    named = columns_named(version.system_template, version.user_template) or set()
    problems_found = [_unknown(name, sampled.columns) for name in sorted(named - set(sampled.columns))]
    if not problems_found and sampled.items:
        try:
            judge_messages(fields_of(version), sampled.items[0], "", "")
        except TemplateProblem as problem:
            problems_found = [f"On item 1 of {sampled.title}: {problem}"]
    if problems_found:
        problems["user_template"] = problems_found


def _unknown(name: str, columns: Collection[str]) -> str:
    near = get_close_matches(name, columns, n=1, cutoff=0.6)
    hint = f"did you mean “metadata.{near[0]}”?" if near else f"it has {', '.join(sorted(columns)) or 'none'}"
    return f"The dataset has no metadata column “{name}”; {hint}"


def notes_on(draft: Draft, sampled: Sampled | None = None) -> list[str]:
    """What is allowed and may still not be meant."""
    return list(_notes(draft, sampled))


def _notes(draft: Draft, sampled: Sampled | None) -> Iterable[str]:
    source = f"{draft.system_template}\n{draft.user_template}"
    if sampled:
        named = columns_named(draft.system_template, draft.user_template)
        unused = sorted(set(sampled.columns) - named) if named is not None else []
        if unused:
            yield f"Not used from {sampled.title}: {', '.join(f'metadata.{name}' for name in unused)}."
        if "reference" in source and not sampled.has_references:
            yield f"The template uses the reference, and {sampled.title} has none."
    parameters = draft.parameters if isinstance(draft.parameters, dict) else {}
    if parameters.get("temperature"):
        yield "With a temperature above 0 the same response may be judged differently each time."
    if isinstance(parameters.get("max_tokens"), int) and parameters["max_tokens"] < LITTLE_ROOM:
        yield f"Fewer than {LITTLE_ROOM} tokens leave a model that reasons no room for its verdict."
    if draft.kind == "compare" and not draft.both_orders:
        yield "Asked in one order only, a judge's preference for the first place counts as a verdict."
