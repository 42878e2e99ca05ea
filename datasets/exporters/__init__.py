"""File formats to take items away in: each yields a file piece by piece; one file each."""

from collections.abc import Iterator
from typing import ClassVar, Protocol

from datasets.models import DatasetVersion
from evalportal.lib.plugins import PluginTable

EXPORTERS = PluginTable(
    "download format",
    (
        ("jsonl", "datasets.exporters.jsonl:JsonlExport"),
        ("csv", "datasets.exporters.csv:CsvExport"),
        ("parquet", "datasets.exporters.parquet:ParquetExport"),
        ("zip", "datasets.exporters.zip:ZipExport"),
        ("chat.jsonl", "datasets.exporters.chat:ChatExport"),
        ("messages.jsonl", "datasets.exporters.chat:MessagesExport"),
    ),
)


class Exporter(Protocol):
    title: ClassVar[str]
    content_type: ClassVar[str]

    def parts(self, version: DatasetVersion) -> Iterator[str | bytes]: ...
