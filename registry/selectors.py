"""What is read of the registry, always from the point of view of one workspace."""

from dataclasses import dataclass

from django.db.models import Q, QuerySet

from registry.models import Provider, RegisteredModel, Source
from workspaces.models import Workspace


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


def models_for(workspace: Workspace) -> QuerySet[RegisteredModel]:
    """Those that a run can be launched with."""
    return registered_in(workspace).filter(Q(provider=None) | Q(provider__is_active=True), is_active=True)


def providers_for(workspace: Workspace) -> QuerySet[Provider]:
    """Active providers, the workspace's own and the shared ones."""
    return Provider.objects.filter(Q(workspace=None) | Q(workspace=workspace), is_active=True)


@dataclass(frozen=True)
class ModelFilter:
    """What the page's and the API's query parameters ask for; what makes no sense filters nothing."""

    q: str = ""
    source: str = ""
    provider: str = ""

    @property
    def is_active(self) -> bool:
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
