"""The variations of the launch sheet: each strategy with inputs for its options."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from judges.options import BadOptions, option_fields
from runs.scorer_forms import OptionInput
from runs.variations import STRATEGIES, build_strategy

FIELD = "variations"


@dataclass
class VariationSlot:
    """One strategy that may be chosen, with inputs for its options."""

    key: str
    title: str
    description: str
    chosen: bool
    inputs: list[OptionInput]

    @property
    def options(self) -> dict[str, Any]:
        """What was typed; an empty one means the default."""
        return {entry.option.name: entry.value for entry in self.inputs if entry.value != ""}

    def as_json(self) -> dict[str, Any]:
        """Options as their types have them; as typed where they are wrong, for the service to say so."""
        try:
            options = asdict(build_strategy(self.key, self.options).options)
        except BadOptions as bad:
            options = self.options
            for entry in self.inputs:
                entry.error = bad.problems.get(entry.option.name, "")
        return {"key": self.key, "options": options}


def variation_slots(data: Any, wanted: Sequence[Mapping[str, Any]]) -> list[VariationSlot]:
    """A slot for every strategy, as posted, else as a launch wants them."""
    known = {each["key"]: each.get("options") or {} for each in wanted}
    chosen = set(known) if data is None else set(data.getlist(FIELD))
    return [_slot(key, key in chosen, known.get(key, {}), data) for key in STRATEGIES]


def _slot(key: str, chosen: bool, options: Mapping[str, Any], data: Any) -> VariationSlot:
    kind = STRATEGIES[key]
    inputs = []
    for option in option_fields(kind):
        name = f"{FIELD}.{key}.{option.name}"
        value = options.get(option.name, "" if option.default is None else option.default)
        inputs.append(OptionInput(option, name, value if data is None else data.get(name, value)))
    return VariationSlot(key, kind.title, kind.description, chosen, inputs)
