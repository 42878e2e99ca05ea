"""File formats to take items away in: each yields text piece by piece; one file each."""

from collections.abc import Iterator
from typing import ClassVar, Protocol

from datasets.models import DatasetVersion
from evalportal.lib.plugins import PluginTable

EXPORTERS = PluginTable(
    "download format",
    (("jsonl", "datasets.exporters.jsonl:JsonlExport"), ("csv", "datasets.exporters.csv:CsvExport")),
)


class Exporter(Protocol):
    content_type: ClassVar[str]

    def parts(self, version: DatasetVersion) -> Iterator[str]: ...
