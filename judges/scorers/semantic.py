"""Semantic similarity: the response means about what a reference says, by an embedding model.

It asks an endpoint, so it is no `Scorer`: the engine gives it `embed` and awaits it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum, isfinite, sqrt

from judges.extraction import canonical_chain
from judges.options import Configurable, option
from judges.scorers.base import (
    EMPTY,
    NO_REFERENCE,
    Subject,
    Verdict,
    graded,
    quoted,
    unscored,
    verdict,
)

# Texts in, one vector for each out, of the same length. Raises what the engine retries or records.
Embed = Callable[[Sequence[str]], Awaitable[Sequence[Sequence[float]]]]
READ = 20_000  # characters of a text that are sent


@dataclass(frozen=True)
class SemanticOptions:
    model: str = option(help="The embedding model as it is registered")
    pass_at: float = option(0.8, help="Passes from this cosine similarity (−1 to 1) on")
    extract: str = option("", help="Filters that find the answer first", read=canonical_chain, long=True)


class Semantic(Configurable[SemanticOptions]):
    key = "semantic"
    title = "Semantic similarity"
    description = (
        "Cosine similarity of the embeddings of response and reference; the nearest reference counts."
    )
    Options = SemanticOptions

    @classmethod
    def check(cls, options: SemanticOptions) -> Mapping[str, str]:
        problems = {} if -1 <= options.pass_at <= 1 else {"pass_at": "must be from −1 to 1"}
        return problems if options.model.strip() else {**problems, "model": "is required"}

    async def score(self, subject: Subject, embed: Embed) -> Verdict:
        """One call with the response and all references. Raises what `embed` raises."""
        references = [reference for reference in subject.references if reference.strip()]
        if not references:
            return unscored(NO_REFERENCE)
        if not subject.response.strip():
            return verdict(False, answer="", explanation=EMPTY)
        vectors = await embed([text[:READ] for text in (subject.response, *references)])
        if len(vectors) != len(references) + 1:
            return unscored(f"{len(vectors)} embeddings came back for {len(references) + 1} texts")
        values = [cosine(vectors[0], vector) for vector in vectors[1:]]
        known = [(value, text) for value, text in zip(values, references, strict=True) if value is not None]
        if not known:
            return unscored("the embeddings are of different length, zero, or not numbers")
        value, nearest = max(known)
        return graded(
            value,
            pass_at=self.options.pass_at,
            answer=subject.response.strip(),
            explanation=f"cosine {value:.3f} with {quoted(nearest)}, by {self.options.model}",
        )


def cosine(one: Sequence[float], two: Sequence[float]) -> float | None:
    """Of −1..1; None where it is not defined."""
    lengths = sqrt(fsum(x * x for x in one)) * sqrt(fsum(x * x for x in two))
    if len(one) != len(two) or not lengths or not isfinite(lengths):
        return None
    return max(-1.0, min(1.0, fsum(x * y for x, y in zip(one, two, strict=True)) / lengths))
