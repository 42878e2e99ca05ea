"""Which field of a file becomes what of an item; pure."""

from datasets.mapping.fields import (
    MAX_MODEL_NAME,
    MAX_WEIGHT,
    METADATA,
    MISSING,
    QUESTIONS,
    RESPONSES,
    USES,
    BadMapping,
    FieldUse,
    Mapping,
    is_filled,
    value_at,
)
from datasets.mapping.guessing import Leaf, guess_mapping, leaves_of
from datasets.mapping.recognising import Recognised, mapping_of, recognise

__all__ = [
    "MAX_MODEL_NAME",
    "MAX_WEIGHT",
    "METADATA",
    "MISSING",
    "QUESTIONS",
    "RESPONSES",
    "USES",
    "BadMapping",
    "FieldUse",
    "Leaf",
    "Mapping",
    "Recognised",
    "guess_mapping",
    "is_filled",
    "leaves_of",
    "mapping_of",
    "recognise",
    "value_at",
]
