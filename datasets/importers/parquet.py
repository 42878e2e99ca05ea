"""Parquet, streamed batch by batch; images in it become data URLs."""

import base64
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from math import isfinite
from typing import Any, BinaryIO, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datasets.images import kind_of
from datasets.importers import Record
from datasets.importers.jsonl import storable
from datasets.importers.lines import MAX_FIELDS, MAX_ROWS
from datasets.problems import RowProblem

BATCH_BYTES, BATCH_ROWS = 2 << 20, 2000
BUFFER_BYTES = 1 << 20
SMALL_BYTES = 64 << 20  # a column chunk up to here is taken whatever it was compressed from
MAX_RATIO = 200
MAX_BATCH_BYTES = 256 << 20
LONG_BYTES = 1 << 20
MAX_BINARY_BYTES = 12 << 20


class Unreadable(ValueError):
    """A value that no item can hold; the message says why."""


class Parquet:
    title: ClassVar[str] = "Parquet"

    def rows(self, file: BinaryIO) -> Iterator[Record | RowProblem]:
        try:
            table = _opened(file)
            probe = _opened(file, _shared_texts(table.metadata)) if table else None
            if table and probe:
                yield from _rows(table, probe)
        except Unreadable as error:
            yield RowProblem(0, "", str(error))
        except MemoryError:
            yield RowProblem(0, "", "a part of the file needs more memory than is allowed")
        except (pa.ArrowException, OSError, ValueError) as error:
            yield RowProblem(0, "", f"not readable as Parquet: {str(error).splitlines()[0][:200]}")

    def details(self, file: BinaryIO) -> list[str]:
        try:
            table = _opened(file)
        except (pa.ArrowException, OSError, ValueError):
            return []
        return [f"{table.metadata.num_rows:,} rows"] if table else []


def _opened(file: BinaryIO, shared: Sequence[str] = ()) -> pq.ParquetFile | None:
    """Raises Unreadable before anything large is unpacked. `shared` columns are read as dictionaries."""
    file.seek(0, 2)
    if not file.tell():
        return None
    file.seek(0)
    meta = pq.read_metadata(file)
    _check(meta)
    return pq.ParquetFile(
        file, metadata=meta, buffer_size=BUFFER_BYTES, pre_buffer=False, read_dictionary=[*shared]
    )


def _shared_texts(meta: pq.FileMetaData) -> list[str]:
    """Columns whose rows may share a text, which may be long."""
    chunks = (
        meta.row_group(0).column(place) for place in range(meta.num_columns if meta.num_row_groups else 0)
    )
    return [
        chunk.path_in_schema
        for chunk in chunks
        if chunk.physical_type == "BYTE_ARRAY"
        and "." not in chunk.path_in_schema
        and chunk.has_dictionary_page
    ]


def _check(meta: pq.FileMetaData) -> None:
    """Raises Unreadable."""
    if meta.num_rows > MAX_ROWS:
        raise Unreadable(f"more than {MAX_ROWS:,} rows")
    if meta.num_columns > MAX_FIELDS:
        raise Unreadable(f"more than {MAX_FIELDS:,} columns")
    for group in range(meta.num_row_groups):
        for column in range(meta.num_columns):
            chunk = meta.row_group(group).column(column)
            unpacked = chunk.total_uncompressed_size
            if unpacked > SMALL_BYTES and unpacked > MAX_RATIO * max(1, chunk.total_compressed_size):
                raise Unreadable(
                    f"the column {chunk.path_in_schema} unpacks to {unpacked >> 20:,} MB; it is a bomb"
                )


def _rows(table: pq.ParquetFile, probe: pq.ParquetFile) -> Iterator[Record | RowProblem]:
    number = unpacked = 0
    for group in range(table.metadata.num_row_groups):
        meta = table.metadata.row_group(group)
        longest = _longest_shared(probe, group)
        per_row = meta.total_byte_size // max(1, meta.num_rows) + longest + 1
        size = max(1, min(BATCH_ROWS, BATCH_BYTES // per_row))
        for batch in table.iter_batches(batch_size=size, row_groups=[group], use_threads=False):
            unpacked += longest if longest > LONG_BYTES else 0
            if max(batch.nbytes, unpacked) > MAX_BATCH_BYTES:
                raise Unreadable(
                    f"its rows unpack to more than {MAX_BATCH_BYTES >> 20} MB; the file is a bomb"
                )
            for values in batch.to_pylist():
                number += 1
                yield _record(number, values)


def _longest_shared(probe: pq.ParquetFile, group: int) -> int:
    """Bytes of the longest texts that rows of a group share, seen without unpacking them for each row."""
    batches = probe.iter_batches(batch_size=1, row_groups=[group], use_threads=False)
    columns: list[Any] = next((batch.columns for batch in batches), [])
    dictionaries = [column.dictionary for column in columns if pa.types.is_dictionary(column.type)]
    return sum(pc.max(pc.binary_length(one)).as_py() or 0 for one in dictionaries if len(one))


def _record(number: int, values: dict[str, Any]) -> Record | RowProblem:
    plain: dict[str, Any] = {}
    for name, value in values.items():
        try:
            plain[name] = plain_value(value)
        except Unreadable as error:
            return RowProblem(number, name, str(error))
    return Record(number, plain)


def plain_value(value: Any) -> Any:
    """What JSON can say; times as ISO 8601, images as data URLs. Raises Unreadable."""
    if isinstance(value, str):
        if not storable(value):
            raise Unreadable("holds a NUL character or half of a surrogate pair")
        return value
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        if not isfinite(value):
            raise Unreadable("holds a number that is not finite")
        return value
    if isinstance(value, list | tuple):
        return [plain_value(part) for part in value]
    if isinstance(value, dict):
        return _object(value)
    if isinstance(value, bytes):
        return _binary(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    return str(value)


def _object(value: dict[str, Any]) -> Any:
    """An image as hubs keep it, `{bytes, path}`, is its bytes."""
    if set(value) == {"bytes", "path"} and isinstance(value["bytes"], bytes):
        return _binary(value["bytes"])
    return {str(name): plain_value(part) for name, part in value.items()}


def _binary(data: bytes) -> str:
    if len(data) > MAX_BINARY_BYTES:
        raise Unreadable(f"holds more than {MAX_BINARY_BYTES >> 20} MB of binary data")
    kind = kind_of(data)
    if kind:
        return f"data:{kind};base64,{base64.b64encode(data).decode()}"
    try:
        return str(plain_value(data.decode()))
    except UnicodeDecodeError as error:
        raise Unreadable("holds binary data that is no image") from error
