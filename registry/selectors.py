"""What is read of the registry, always from the point of view of one workspace."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Coalesce, Lower, NullIf

from registry.models import Provider, RegisteredModel, Source
from workspaces.models import Workspace

# Only what is active at an active provider can be launched; by name only there is no provider.
USABLE = Q(is_active=True) & (Q(provider=None) | Q(provider__is_active=True))


def registered_in(workspace: Workspace) -> QuerySet[RegisteredModel]:
    """All that this workspace may see, active or not: its own and the shared ones."""
    own_provider = (
        Q(provider=None) | Q(provider__workspace=None) | Q(provider__workspace=workspace)
    )  # a row that breaks the rule of `RegisteredModel.clean` stays out of sight
    return (
        RegisteredModel.objects.filter(Q(workspace=None) | Q(workspace=workspace))
        .filter(own_provider)
        .select_related("provider", "parent")
    )


def usable_in(workspace: Workspace) -> QuerySet[RegisteredModel]:
    """All active ones, whatever they do."""
    return registered_in(workspace).filter(USABLE)


def models_for(workspace: Workspace) -> QuerySet[RegisteredModel]:
    """Those that a run can be launched with."""
    return usable_in(workspace).filter(embeds=False)


def embedding_models_for(workspace: Workspace) -> QuerySet[RegisteredModel]:
    """Those that turn texts into vectors."""
    return by_title(usable_in(workspace).filter(embeds=True, provider__isnull=False))


def providers_for(workspace: Workspace) -> QuerySet[Provider]:
    """Active providers, the workspace's own and the shared ones."""
    return Provider.objects.filter(Q(workspace=None) | Q(workspace=workspace), is_active=True)


def by_title(rows: QuerySet[RegisteredModel]) -> QuerySet[RegisteredModel]:
    """In the order of what a reader sees, whatever its case."""
    return rows.order_by(Lower(Coalesce(NullIf(F("alias"), Value("")), F("name"))), "pk")


def fine_tunes_of(model: RegisteredModel, workspace: Workspace) -> QuerySet[RegisteredModel]:
    """The models trained from this one that the workspace may see."""
    return by_title(registered_in(workspace).filter(parent=model))


@dataclass(frozen=True)
class ModelFilter:
    """What the page's and the API's query parameters ask for; what makes no sense filters nothing."""

    q: str = ""
    source: str = ""
    provider: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "ModelFilter":
        asked = {
            name: query.get(name, "").replace("\0", "").strip()[:200] for name in ("q", "source", "provider")
        }
        return cls(**asked)

    @property
    def is_set(self) -> bool:
        return bool(self.q or self.source or self.provider)

    def apply(self, rows: QuerySet[RegisteredModel]) -> QuerySet[RegisteredModel]:
        for word in self.q.split()[:8]:
            rows = rows.filter(
                Q(name__icontains=word)
                | Q(alias__icontains=word)
                | Q(hf_repo__icontains=word)
                | Q(provider__name__icontains=word)
            )
        if self.source in Source.values:
            rows = rows.filter(source=self.source)
        if self.provider.isascii() and self.provider.isdigit():
            rows = rows.filter(provider=int(self.provider[:18]))
        return rows
