"""Which items are meant: what the item browser's address, a bulk edit and a subset say alike."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from django.db.models import Count, F, Q, QuerySet, Subquery, TextField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce, Concat, Length, StrIndex

from datasets.models import Item

NO_SECTION = "-"
LEAK_LENGTH = 4  # shorter references stand in prompts by chance
KINDS = {
    "text": ("Free text", Q(choices=[], messages__isnull=True)),
    "choice": ("Single choice", ~Q(choices=[]) & Q(references__1__isnull=True)),
    "choices": ("Multiple choice", ~Q(choices=[]) & Q(references__1__isnull=False)),
    "chat": ("Chat", Q(messages__isnull=False)),
    "pair": ("Pairs of responses", Q(metadata__has_key="pair")),
    "context": ("With passages", Q(metadata__has_key="context")),
    "image": ("With images", Q(pk__in=Item.objects.filter(item_assets__isnull=False).values("pk"))),
    "rubric": ("With a rubric", Q(metadata__has_key="rubric")),
    "weight": ("With a weight", Q(metadata__has_key="weight")),
}
CHECKS = {
    "duplicate": "Asked twice",
    "no_reference": "Without a reference",
    "leak": "Reference inside the prompt",
}


@dataclass(frozen=True, kw_only=True)
class ItemFilter:
    """Part of a version; each field as in the address, empty for any. `section` is "-" for no section."""

    q: str = ""
    section: str = ""
    kind: str = ""
    tag: str = ""
    meta: str = ""
    value: str = ""
    check: str = ""

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> "ItemFilter":
        """Whatever is not a known value counts as absent."""
        given = {each.name: str(params.get(each.name) or "").strip()[:200] for each in fields(cls)}
        given["kind"] = given["kind"] if given["kind"] in KINDS else ""
        given["check"] = given["check"] if given["check"] in CHECKS else ""
        given["tag"] = given["tag"].lower()
        return cls(**{name: value.replace("\0", "") for name, value in given.items()})

    def to_json(self) -> dict[str, str]:
        return {each.name: getattr(self, each.name) for each in fields(self) if getattr(self, each.name)}

    @property
    def section_name(self) -> str | None:
        return None if not self.section else "" if self.section == NO_SECTION else self.section

    @property
    def only_section(self) -> bool:
        """Nothing else is asked for, so that kept figures tell the count."""
        return bool(self.section) and self.to_json().keys() == {"section"}

    @property
    def words(self) -> list[str]:
        """The filter for people, a phrase each."""
        metadata = f"{self.meta} is {self.value}" if self.value else f"with {self.meta}"
        said = {
            "q": f"holds “{self.q}”",
            "section": f"section {self.section_name}" if self.section_name else "no section",
            "kind": KINDS[self.kind][0].lower() if self.kind else "",
            "tag": f"tag {self.tag}",
            "meta": metadata,
            "check": CHECKS[self.check].lower() if self.check else "",
        }
        return [words for name, words in said.items() if getattr(self, name)]

    def apply(self, items: QuerySet[Item]) -> QuerySet[Item]:
        """Of one version's items."""
        whole = items
        if self.section_name is not None:
            items = items.filter(section=self.section_name)
        if self.kind:
            items = items.filter(KINDS[self.kind][1])
        if self.tag:
            items = items.filter(tags__contains=f"|{self.tag}|")
        if self.meta:
            items = with_metadata(items, self.meta, self.value)
        if self.check:
            items = checked(items, whole, self.check)
        if self.q:
            items = items.filter(Q(prompt__icontains=self.q) | Q(external_id__icontains=self.q))
        return items


def with_metadata(items: QuerySet[Item], path: str, value: str) -> QuerySet[Item]:
    """Whose metadata hold the value, or anything, under a dotted path. Names of the path are plain keys."""
    found: Any = "metadata"
    for name in path.split(".")[:8]:
        found = KeyTextTransform(name, found)
    items = items.alias(held=Cast(found, TextField()))
    return items.filter(held=value) if value else items.filter(held__isnull=False)


def checked(items: QuerySet[Item], whole: QuerySet[Item], check: str) -> QuerySet[Item]:
    """Items that a check of the dataset's card counts."""
    if check == "no_reference":
        return items.filter(references=[])
    if check == "leak":
        reference = KeyTextTransform(0, "references")
        items = items.alias(said=Length(reference), at=StrIndex("prompt", reference))
        return items.filter(choices=[], said__gte=LEAK_LENGTH, at__gt=0)
    twice = whole.order_by().annotate(asked=asked()).values("asked").annotate(n=Count("pk")).filter(n__gt=1)
    return items.annotate(asked=asked()).filter(asked__in=Subquery(twice.values("asked")))


def asked() -> Concat:
    """All that a model is shown as text."""
    shown = [
        Coalesce(Cast(F(name), TextField()), Value("", TextField()))
        for name in ("prompt", "messages", "choices")
    ]
    return Concat(*shown, output_field=TextField())
