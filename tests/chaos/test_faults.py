"""Every case of `make chaos` at 500 items; the servers and the portal are started once per database."""

from collections.abc import Iterator

import pytest

from tests.chaos.__main__ import lab_on
from tests.chaos.cases import Case, cases_on
from tests.chaos.lab import Lab


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with lab_on("sqlite", tmp_path_factory.mktemp("chaos-sqlite"), full=False) as lab:
        yield lab


@pytest.fixture(scope="module")
def on_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with lab_on("postgresql", tmp_path_factory.mktemp("chaos-postgresql"), full=False) as lab:
        yield lab


@pytest.mark.parametrize("case", cases_on("sqlite"), ids=lambda case: case.name)
def test_embedded(case: Case, on_sqlite: Lab) -> None:
    holds(case, on_sqlite)


@pytest.mark.services
@pytest.mark.parametrize("case", cases_on("postgresql"), ids=lambda case: case.name)
def test_scaled(case: Case, on_postgres: Lab) -> None:
    holds(case, on_postgres)


def holds(case: Case, lab: Lab) -> None:
    failed = [str(line) for line in case.lines(lab) if not line.ok]
    if failed:
        pytest.fail("\n".join(failed), pytrace=False)
