"""One small client for dataset hubs that speak the endpoints of Hugging Face. The operator names the hub.

`/api/datasets/REPO/parquet` lists Parquet files by config and split; with a revision, the tree of that
revision does. Files come from `/datasets/REPO/resolve/REVISION/PATH`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from django.conf import settings

from catalogue.models import HubToken
from evalportal.lib.secret_fields import UndecryptableSecret
from registry.fetching import FetchFailed, fetch_json
from registry.rules import origin_of
from workspaces.models import Workspace

REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?")
NAME = re.compile(r"[\w.+-]{1,120}")
MAX_FILES = 500


class BadPlace(ValueError):
    """Not a repository, config, split or revision; the message says which."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where data lies on the hub. Without a revision: what the hub itself made into Parquet."""

    repo: str
    config: str = "default"
    split: str = "test"
    revision: str = ""

    def check(self) -> None:
        """Raises BadPlace."""
        if not REPO.fullmatch(self.repo) or ".." in self.repo:
            raise BadPlace("A repository is written owner/name.")
        for word, value in (("config", self.config), ("split", self.split)):
            if not NAME.fullmatch(value):
                raise BadPlace(f"The {word} holds letters, digits, dots, dashes and underscores.")
        if self.revision and not NAME.fullmatch(self.revision):
            raise BadPlace("A revision is a branch, a tag or a commit.")

    def __str__(self) -> str:
        return f"{self.repo}, {self.config}, {self.split}{f' at {self.revision}' if self.revision else ''}"


def is_available() -> bool:
    return bool(settings.HUB_URL)


def hub_url(path: str) -> str:
    if not settings.HUB_URL:
        raise FetchFailed("No hub is set; the operator names one in EVALPORTAL_HUB_URL.")
    return f"{settings.HUB_URL.rstrip('/')}{path}"


def hub_origin() -> str:
    """Scheme, host and port of the hub, as a token is bound to them."""
    scheme, host, port = origin_of(settings.HUB_URL)
    return f"{scheme}://{host}:{port}"


def hub_host() -> str:
    return origin_of(settings.HUB_URL)[1]


def token_for(workspace: Workspace) -> str:
    """The workspace's token for this hub, else the operator's, else nothing. Raises FetchFailed."""
    held = HubToken.objects.filter(workspace=workspace, origin=hub_origin()).first()
    if held is None:
        return str(settings.HUB_TOKEN)
    try:
        return str(held.token.reveal())
    except UndecryptableSecret as error:
        raise FetchFailed(str(error)) from error


def bearer_at(url: str, token: str) -> str:
    """The token, if the address is the hub's; else nothing."""
    return token if origin_of(url) == origin_of(settings.HUB_URL) else ""


def _asked(path: str, token: str) -> Any:
    return fetch_json(hub_url(path), bearer=token)


def parquet_urls(place: Place, token: str = "") -> list[str]:
    """Addresses of the Parquet files, in order. Raises FetchFailed, naming what there is."""
    listed = _at_revision(place, token) if place.revision else _converted(place, token)
    if not listed:
        raise FetchFailed(f"The hub has no Parquet files for {place}.")
    if len(listed) > MAX_FILES:
        raise FetchFailed(f"{place} is in more than {MAX_FILES} files.")
    return listed


def commit_of(place: Place, token: str = "") -> str:
    """The commit that the data come from, or nothing if the hub does not say."""
    path = f"/api/datasets/{quote(place.repo)}/revision/{quote(place.revision or 'main', safe='')}"
    try:
        told = _asked(path, token)
    except FetchFailed:
        return ""
    return str(told.get("sha") or "")[:64] if isinstance(told, dict) else ""


def _converted(place: Place, token: str) -> list[str]:
    found = _asked(f"/api/datasets/{quote(place.repo)}/parquet", token)
    configs = found if isinstance(found, dict) else {}
    splits = configs.get(place.config)
    if not isinstance(splits, dict):
        raise FetchFailed(f"{place.repo} has no config {place.config!r}; it has {_names(configs)}.")
    urls = splits.get(place.split)
    if not isinstance(urls, list):
        raise FetchFailed(f"{place.repo} has no split {place.split!r}; it has {_names(splits)}.")
    return [str(url) for url in urls]


def _names(known: dict[str, Any]) -> str:
    return ", ".join([*known][:10]) or "none"


def _at_revision(place: Place, token: str) -> list[str]:
    """Files such as `config/split-0-of-2.parquet`, `data/split-….parquet`, `config/split/0.parquet`."""
    revision = quote(place.revision, safe="")
    base = f"/api/datasets/{quote(place.repo)}/tree/{revision}?recursive=true"
    paths = sorted(path for path in _paths(_asked(base, token)) if _fits(path, place))
    return [hub_url(f"/datasets/{quote(place.repo)}/resolve/{revision}/{quote(path)}") for path in paths]


def _paths(tree: Any) -> Iterator[str]:
    for entry in tree if isinstance(tree, list) else []:
        if isinstance(entry, dict) and str(entry.get("path", "")).endswith(".parquet"):
            yield str(entry["path"])


def _fits(path: str, place: Place) -> bool:
    *folders, name = path.split("/")
    in_config = place.config in folders or (place.config == "default" and folders in ([], ["data"]))
    named = re.match(rf"{re.escape(place.split)}([-.]|$)", name) is not None
    return (in_config and named) or folders[-2:] == [place.config, place.split]
