"""A scorer behind a chain of filters: it scores what the chain finds instead of the whole response."""

from dataclasses import replace
from typing import Any

from judges.extraction import CannotExtract, Chain, Extracted
from judges.scorers.base import Scorer, Subject, Verdict, quoted, storable, unscored, verdict


class Extracting(Scorer[Any]):
    """Stands for the scorer inside it: same key, title and options."""

    def __init__(self, inner: Scorer[Any], chain: Chain):
        super().__init__(inner.options)
        self.inner, self.chain = inner, chain
        for name in ("key", "title", "description", "Options", "needs_reference", "reads_response", "best"):
            setattr(self, name, getattr(inner, name))
        self.blocks = inner.blocks or chain.blocks  # type: ignore[misc]

    def score(self, subject: Subject) -> Verdict:
        try:
            found = self.chain.read(subject.response, subject.choices)
        except CannotExtract as error:
            return unscored(str(error))
        said = self.inner.score(replace(subject, response=found.text or ""))
        if said.value is None or not subject.response.strip():
            return said
        if found.text is None:
            return verdict(False, answer="", explanation=found.rule)
        answer = said.answer or storable(found.text)
        return replace(said, answer=answer, explanation=storable(_explain(found, said)))


def _explain(found: Extracted, said: Verdict) -> str:
    origin = f", from {found.rule}" if found.rule else ", extracted"
    return f"{quoted(found.text or '').strip('“”')}{origin}; {said.explanation}"
