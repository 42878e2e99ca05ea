"""Explicit tables of plug-ins: a key names a class by its path, imported on first use."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import Any


class UnknownPlugin(LookupError):
    """No entry of that key; the message names the nearest ones."""


class PluginTable:
    """`key → "module:Class"`; adding a plug-in is one file and one line in its table."""

    def __init__(self, noun: str, entries: tuple[tuple[str, str], ...]):
        self.noun = noun
        self.paths: dict[str, str] = {}
        for key, path in entries:
            if key in self.paths:
                raise ValueError(f"{noun} {key!r} is declared twice")
            self.paths[key] = path

    def __iter__(self) -> Iterator[str]:
        return iter(self.paths)

    def __contains__(self, key: object) -> bool:
        return key in self.paths

    def __getitem__(self, key: str) -> Any:
        """The plug-in's class. Raises UnknownPlugin with the nearest keys."""
        if key not in self.paths:
            near = get_close_matches(key, self.paths, n=2, cutoff=0.5)
            hint = f"; did you mean {' or '.join(near)}?" if near else f"; known: {', '.join(self.paths)}"
            raise UnknownPlugin(f"no {self.noun} named {key!r}{hint}")
        return _load(self.paths[key])

    def items(self) -> Mapping[str, Any]:
        return {key: self[key] for key in self.paths}


@cache
def _load(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)
