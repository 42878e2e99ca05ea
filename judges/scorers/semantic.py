"""Semantic similarity: the response means about what a reference says, by an embedding model.

It asks an endpoint, so nothing here calls out: `asked` says which texts to embed, and `read` makes the
verdict of what came back. The engine asks in a run of its own (docs/adr/0005-judging.md).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum, isfinite, sqrt
from typing import Any

from judges.extraction import CannotExtract, build_chain
from judges.options import option
from judges.scorers.base import (
    EMPTY,
    NO_REFERENCE,
    Scorer,
    Subject,
    TextOptions,
    Verdict,
    graded,
    quoted,
    storable,
    unscored,
    verdict,
)

READ = 20_000  # characters of a text that are sent
MOST_REFERENCES = 50
NO_COSINE = "the embeddings of response and reference have no direction to compare"


@dataclass(frozen=True)
class SemanticOptions(TextOptions):
    model: str = option(
        help="A registered model that embeds, by its name or number", offers="embedding_model"
    )
    pass_at: float = option(0.8, help="Passes from this cosine similarity (−1 to 1) on")


@dataclass(frozen=True)
class Asked:
    """What is to be embedded: the answer found in the response, by which rule, and the references."""

    answer: str
    rule: str
    references: Sequence[str]

    @property
    def texts(self) -> list[str]:
        """The answer first."""
        return [text[:READ] for text in (self.answer, *self.references)]


class Semantic(Scorer[SemanticOptions]):
    key = "semantic"
    title = "Semantic similarity"
    description = (
        "Cosine similarity of the embeddings of response and reference, by a registered embedding model; "
        "the nearest reference counts."
    )
    Options = SemanticOptions
    asks_model = True

    @classmethod
    def check(cls, options: SemanticOptions) -> Mapping[str, str]:
        problems = {} if -1 <= options.pass_at <= 1 else {"pass_at": "must be from −1 to 1"}
        return problems if options.model.strip() else {**problems, "model": "is required"}

    def score(self, subject: Subject) -> Verdict:
        """What can be said without asking."""
        asked = self.asked(subject)
        return asked if isinstance(asked, Verdict) else unscored("an embedding model has to be asked")

    def asked(self, subject: Subject) -> Asked | Verdict:
        """What to embed, or the verdict where nothing need be."""
        references = [text for text in subject.references if text.strip()][:MOST_REFERENCES]
        if not references:
            return unscored(NO_REFERENCE)
        if not subject.response.strip():
            return verdict(False, answer="", explanation=EMPTY)
        chain = build_chain(self.options.extract)
        if chain is None:
            return Asked(subject.response.strip(), "", references)
        try:
            found = chain.read(subject.response, subject.choices)
        except CannotExtract as error:
            return unscored(str(error))
        if not (found.text or "").strip():
            return verdict(False, answer="", explanation=found.rule if found.text is None else EMPTY)
        return Asked(str(found.text).strip(), found.rule, references)

    def read(self, asked: Asked, vectors: Sequence[Sequence[float]]) -> str:
        """What is kept of the embeddings, as JSON text; `verdict` makes the same of it every time."""
        values = [cosine(vectors[0], vector) for vector in vectors[1:]]
        known = [(value, -at) for at, value in enumerate(values) if value is not None]
        value, at = max(known, default=(None, 0))
        return json.dumps(
            {"cosine": value, "nearest": storable(asked.references[-at]), "answer": storable(asked.answer),
             "rule": asked.rule},
            ensure_ascii=False,
        )  # fmt: skip

    def verdict(self, kept: str) -> Verdict:
        """Of what `read` or `settled` has kept."""
        said: dict[str, Any] = json.loads(kept)
        if "verdict" in said:
            return Verdict(**said["verdict"])
        found = f"{quoted(said['answer']).strip('“”')}, from {said['rule']}; " if said["rule"] else ""
        if said["cosine"] is None:
            return unscored(NO_COSINE, answer=said["answer"])
        explanation = f"{found}cosine {said['cosine']:.3f} with {quoted(said['nearest'])}"
        return graded(
            said["cosine"], pass_at=self.options.pass_at, answer=said["answer"], explanation=explanation
        )


def settled(known: Verdict) -> str:
    """A verdict for which nothing was asked, as it is kept."""
    fields = {name: getattr(known, name) for name in Verdict.__dataclass_fields__}
    return json.dumps({"verdict": fields}, ensure_ascii=False)


def cosine(one: Sequence[float], two: Sequence[float]) -> float | None:
    """Of −1..1; None where it is not defined."""
    lengths = sqrt(fsum(x * x for x in one)) * sqrt(fsum(x * x for x in two))
    if len(one) != len(two) or not lengths or not isfinite(lengths):
        return None
    return max(-1.0, min(1.0, fsum(x * y for x, y in zip(one, two, strict=True)) / lengths))
