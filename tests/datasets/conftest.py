"""People who may import, and importing in one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datasets.importers import Record, rows_of
from datasets.mapping import mapping_of
from datasets.services import ImportResult, version_import
from tests.datasets.files import jsonl
from workspaces.access import Access, system_access
from workspaces.models import Role, User, Workspace

Import = Callable[..., ImportResult]


@pytest.fixture
def held(alpha: Workspace) -> Access:
    return system_access(alpha)


@pytest.fixture
def editing(alpha: Workspace, editor: User) -> Access:
    return Access(workspace=alpha, role=Role.EDITOR, user=editor)


@pytest.fixture
def imported(held: Access, tmp_path: Path) -> Import:
    """Imports bytes or rows as a file; the mapping is guessed unless given."""

    def run(content: bytes | list[Any], *, name: str = "file.jsonl", **values: Any) -> ImportResult:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else jsonl(content))
        if "mapping" not in values:
            with path.open("rb") as file:
                records = [row.values for row in rows_of(file, name) if isinstance(row, Record)]
            values["mapping"] = mapping_of(records)
        access = values.pop("access", held)
        return version_import(access, path=path, source_name=name, **({"dataset_name": "Questions"} | values))

    return run
