"""Responses that runs hold, for previews. An app above this one knows runs; settings name its class."""

from collections.abc import Sequence
from typing import Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from datasets.models import DatasetVersion
from workspaces.models import Workspace

RUN = "run:"


class RunResponses(Protocol):
    """What runs of a workspace answered on a version. A source is `run:ID`; a foreign one has nothing."""

    def offered(self, workspace: Workspace, version: DatasetVersion) -> Sequence[tuple[str, str]]:
        """Sources and their words, newest first."""

    def first_items(
        self, workspace: Workspace, version: DatasetVersion, source: str, count: int
    ) -> Sequence[int]:
        """Ids of the first items that it answered, in the dataset's order."""

    def responses(
        self, workspace: Workspace, version: DatasetVersion, source: str, items: Sequence[int]
    ) -> dict[int, str]:
        """By item, the first response to it."""


def run_responses() -> RunResponses:
    found: RunResponses = import_string(settings.JUDGE_RESPONSES)()
    return found
