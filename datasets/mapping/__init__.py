"""Which field of a file becomes what of an item; pure."""

from datasets.mapping.fields import (
    MAX_MODEL_NAME,
    MISSING,
    QUESTIONS,
    USES,
    BadMapping,
    FieldUse,
    Mapping,
    is_filled,
    value_at,
)
from datasets.mapping.guessing import Leaf, guess_mapping, leaves_of

__all__ = [
    "MAX_MODEL_NAME",
    "MISSING",
    "QUESTIONS",
    "USES",
    "BadMapping",
    "FieldUse",
    "Leaf",
    "Mapping",
    "guess_mapping",
    "is_filled",
    "leaves_of",
    "value_at",
]
