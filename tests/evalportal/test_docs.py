"""What the README, the how-tos and the containers name exists."""

import re
from pathlib import Path

import pytest
import yaml

from tests.services import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
SETTINGS = (ROOT / "evalportal" / "settings.py").read_text()


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_inside_the_project_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("path", [*PAGES, ROOT / "docker-compose.yml", ROOT / "Dockerfile"], ids=name_of)
def test_named_variables_are_read_by_the_settings(path: Path) -> None:
    elsewhere = {
        "EVALPORTAL_REQUIRE_SERVICES",
        "EVALPORTAL_SHARED",
        "EVALPORTAL_API_KEY",
    }  # by tests, the terminal
    named = set(re.findall(r"\bEVALPORTAL_[A-Z_]+\b", path.read_text())) - elsewhere
    assert [variable for variable in sorted(named) if f'"{variable}"' not in SETTINGS] == []


def test_every_setting_is_documented() -> None:
    documented = (ROOT / "docs" / "how-to" / "scale-out.md").read_text()
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', SETTINGS)) - {"EVALPORTAL_DEBUG"}
    mail = {name for name in read if name.startswith("EMAIL_")}  # named once, by their endings
    assert [name for name in sorted(read - mail) if f"`{name}`" not in documented] == []


def test_the_readme_leads_to_every_page() -> None:
    linked = (ROOT / "README.md").read_text()
    assert [name_of(page) for page in PAGES if name_of(page) not in linked and page.name != "README.md"] == []


def test_targets_that_the_readme_names_are_in_the_makefile() -> None:
    rules = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)", (ROOT / "README.md").read_text())) <= rules


def test_containers_start_what_is_there() -> None:
    """Without a container at hand: the file is read, its paths and commands are those of the project."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert {"web", "worker", "postgres", "redis"} == set(services)
    web, worker = services["web"], services["worker"]
    assert web["environment"] == worker["environment"] and web["volumes"] == worker["volumes"]
    assert "/readyz" in str(web["healthcheck"]) and r"|readyz|" in SETTINGS  # asked without TLS
    assert worker["command"].startswith("celery -A evalportal worker")
    image = (ROOT / "Dockerfile").read_text()
    assert "manage.py migrate" in image and "evalportal.asgi:application" in image
    for path in re.findall(r"^COPY (\S+) \.$", image, re.MULTILINE):
        assert (ROOT / path).exists()
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".env", "var", ".git"} <= set(ignored) and not {"templates", "static"} & set(ignored)
