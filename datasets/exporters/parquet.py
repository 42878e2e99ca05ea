"""Items as Parquet, lossless: native lists and images as bytes; metadata as JSON text."""

import json
from collections.abc import Iterator
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from datasets.assets import asset_bytes
from datasets.exporters.jsonl import plain_item
from datasets.exporters.sink import Sink
from datasets.models import DatasetVersion
from datasets.selectors import all_items

GROUP_ROWS, GROUP_BYTES = 2000, 8 << 20
TEXTS = pa.list_(pa.string())


class ParquetExport:
    title: ClassVar[str] = "Parquet"
    content_type: ClassVar[str] = "application/vnd.apache.parquet"

    def parts(self, version: DatasetVersion) -> Iterator[bytes]:
        sink, schema = Sink(), schema_of(version.response_models)
        with pq.ParquetWriter(sink, schema, compression="snappy") as writer:
            for rows in _groups(version):
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
                yield sink.taken()
        yield sink.taken()


def schema_of(models: list[str]) -> pa.Schema:
    message = pa.struct([("role", pa.string()), ("content", pa.string())])
    responses = [("responses", pa.struct([(model, pa.string()) for model in models]))] if models else []
    return pa.schema(
        [
            ("id", pa.string()), ("section", pa.string()), ("messages", pa.list_(message)),
            ("prompt", pa.string()), ("choices", TEXTS), ("references", TEXTS), *responses,
            ("tags", TEXTS), ("metadata", pa.string()), ("images", pa.list_(pa.binary())),
        ]
    )  # fmt: skip


def _groups(version: DatasetVersion) -> Iterator[list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    size = 0
    for item in all_items(version):
        row = plain_item(item, asset_bytes)
        if "metadata" in row:
            row["metadata"] = json.dumps(row["metadata"], ensure_ascii=False)
        rows.append(row)
        size += 500 + len(item.prompt) + sum(map(len, row.get("images", ())))
        if len(rows) >= GROUP_ROWS or size >= GROUP_BYTES:
            yield rows
            rows, size = [], 0
    if rows:
        yield rows
