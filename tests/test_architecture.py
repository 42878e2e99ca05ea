"""The shape of the code, proven from its source: one-way imports, file names, sizes, habits.

Each rule reports every offender as `file:line what is wrong, and what to do instead`.
"""

import ast
import re
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

from django.apps import apps

ROOT = Path(__file__).resolve().parent.parent
# Left may import right, never the reverse; apps of one group know nothing of each other.
ORDER = (
    ("evalportal",), ("catalogue",), ("benchmarks",), ("analysis", "generation"), ("runs",),
    ("judges", "webhooks"), ("datasets", "registry"), ("workspaces",), ("evalportal.lib",),
)  # fmt: skip
PACKAGES = tuple(name for group in ORDER for name in group if "." not in name)
# Inside an app, the same: each layer may import those below it.
LAYERS = (
    ("views", "api", "api_urls", "urls", "admin", "consumers", "routing", "management"),
    ("services",), ("tasks",), ("engine",), ("live",), ("selectors",), ("models",),
)  # fmt: skip
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
NAMELESS = {"utils", "util", "helpers", "helper", "common", "misc"}
MAX_LINES, MEDIAN_LINES, P90_LINES, LONGEST_LINES = 500, 14, 40, 80
ADDRESS = re.compile(r"https?://(?!127\.0\.0\.1)|--(extra-)?index-url|--find-links|--trusted-host")


@dataclass(frozen=True)
class Source:
    """One module of the project."""

    path: Path
    module: str
    tree: ast.Module

    def at(self, node: ast.AST) -> str:
        return f"{self.path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"

    @property
    def layer(self) -> str:
        """The app's room that the module is in, such as `services` of `runs.services.launch`."""
        parts = self.module.split(".")
        return re.sub(r"_.*", "", parts[1]) if len(parts) > 1 else ""


@cache
def sources() -> tuple[Source, ...]:
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "migrations" not in path.parts:
                parts = path.relative_to(ROOT).with_suffix("").parts
                module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
                found.append(Source(path, module, ast.parse(path.read_text(encoding="utf-8"))))
    return tuple(found)


def imports(source: Source) -> Iterator[tuple[ast.stmt, str]]:
    """Every project module that the source imports, by its dotted name."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from ((node, name) for name in names if name.split(".")[0] in PACKAGES)


def group_of(module: str) -> int:
    """The place of a module's package in ORDER."""
    name = "evalportal.lib" if module.startswith("evalportal.lib") else module.split(".")[0]
    return next(at for at, group in enumerate(ORDER) if name in group)


def texts(*folders: str, endings: tuple[str, ...]) -> Iterator[tuple[Path, str]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in endings and path.is_file():
                yield path.relative_to(ROOT), path.read_text(encoding="utf-8")


def report(problems: list[str]) -> None:
    assert not problems, "\n" + "\n".join(sorted(set(problems)))


def test_every_package_has_its_place() -> None:
    """Nothing is proven of code that these rules do not read."""
    holding_code = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "bench"}
    assert holding_code <= set(PACKAGES), "give the new package its place in ORDER"
    assert {source.module.split(".")[0] for source in sources()} == holding_code
    assert len(sources()) > 100


# Imports


def test_apps_import_one_way() -> None:
    problems = []
    for source in sources():
        for node, name in imports(source):
            here, there = group_of(source.module), group_of(name)
            same = source.module.split(".")[0] == name.split(".")[0]
            if there < here or (there == here and not same and here != 0):
                order = " → ".join(" | ".join(group) for group in ORDER)
                problems.append(f"{source.at(node)} {source.module} must not import {name}: {order}")
    report(problems)


def test_layers_of_an_app_import_one_way() -> None:
    """Also through modules without a layer of their own, such as `runs.metrics`."""
    known = {source.module for source in sources()}

    def module_of(name: str) -> str:
        return name if name in known else name.rpartition(".")[0]

    graph = {source.module: {module_of(name) for _, name in imports(source)} for source in sources()}
    layers = {source.module: source.layer for source in sources()}

    def reached(start: str) -> Iterator[tuple[str, str]]:
        """(module with a layer, the way to it) from `start`, through modules of its app without one."""
        app, seen, open_ = start.split(".")[0], {start}, [(start, start)]
        while open_:
            module, way = open_.pop()
            for after in graph.get(module, ()):
                if after in seen or after.split(".")[0] != app:
                    continue
                seen.add(after)
                if layers.get(after) in RANK:
                    yield after, f"{way} → {after}"
                else:
                    open_.append((after, f"{way} → {after}"))

    report(
        [
            f"{way}: {layers[source.module]} must not import {layers[target]} (top to bottom: "
            f"{' → '.join('|'.join(names) for names in LAYERS)})"
            for source in sources()
            if source.layer in RANK
            for target, way in reached(source.module)
            if RANK[layers[target]] < RANK[source.layer]
        ]
    )


def test_no_relative_imports() -> None:
    report(
        [
            f"{source.at(node)} a relative import: name the module in full"
            for source in sources()
            for node in ast.walk(source.tree)
            if isinstance(node, ast.ImportFrom) and node.level
        ]
    )


def test_no_project_imports_inside_functions() -> None:
    """They hide a cycle: move what both sides need to a third module."""
    report(
        [
            f"{source.at(node)} imports {name} inside {outer.name}(): import it at the top, or cut the cycle"
            for source in sources()
            for outer in ast.walk(source.tree)
            if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef)
            for node, name in imports(Source(source.path, source.module, ast.Module(outer.body, [])))
        ]
    )


# Habits


def calls(source: Source) -> Iterator[tuple[ast.Call, str, str]]:
    """(call, what it is called on, method) of every method call."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node, ast.unparse(node.func.value), node.func.attr


def test_no_signals() -> None:
    banned = ("django.db.models.signals", "django.dispatch", "django.core.signals")
    report(
        [
            f"{source.at(node)} uses signals: call the service that does it"
            for source in sources()
            for node in ast.walk(source.tree)
            if (isinstance(node, ast.ImportFrom) and (node.module or "").startswith(banned))
            or (isinstance(node, ast.Import) and any(alias.name.startswith(banned) for alias in node.names))
        ]
    )


def test_saves_name_their_fields() -> None:
    """A bare save() on an existing row writes back what others have changed meanwhile."""
    allowed = {"update_fields", "force_insert"}
    report(
        [
            f"{source.at(call)} {target}.save(): say update_fields=[…], or force_insert=True for a new row"
            for source in sources()
            for call, target, method in calls(source)
            if method == "save" and not call.args and not {word.arg for word in call.keywords} & allowed
            if "form" not in target.lower()
        ]
    )


def test_tasks_start_after_the_commit() -> None:
    """In a task there is no transaction to wait for; everywhere else there may be."""
    report(
        [
            f"{source.at(call)} {target}.{method}(): use delay_on_commit"
            for source in sources()
            if source.layer != "tasks" and source.module != "evalportal.lib.tasks"  # delay_on_commit itself
            for call, target, method in calls(source)
            if method in ("delay", "apply_async")
        ]
    )


def test_models_have_no_logic_in_save() -> None:
    report(
        [
            f"{source.at(node)} {node.name}() on a model: put it into a service, or a constraint"
            for source in sources()
            if source.layer == "models"
            for node in ast.walk(source.tree)
            if isinstance(node, ast.FunctionDef) and node.name in ("save", "delete")
        ]
    )


def test_modules_say_what_they_hold() -> None:
    report(
        [
            f"{source.at(source.tree)} has no docstring: one to three lines on what lives here"
            for source in sources()
            if source.tree.body and not ast.get_docstring(source.tree)
        ]
    )


# Names and sizes


def test_no_nameless_rooms() -> None:
    report(
        [
            f"{path.relative_to(ROOT)}: a name that says nothing; name it after what it holds"
            for package in (*PACKAGES, "tests", "bench", "templates", "static")
            for path in (ROOT / package).rglob("*")
            if path.stem in NAMELESS
        ]
    )


def test_migrations_are_named_by_people() -> None:
    problems = []
    for config in apps.get_app_configs():
        folder = Path(config.path) / "migrations"
        if config.name not in PACKAGES or not folder.is_dir():
            continue
        for path in sorted(folder.glob("0*.py")):
            name = path.stem.partition("_")[2]
            module = import_module(f"{config.name}.migrations.{path.stem}")
            suggested = module.Migration(path.stem, config.label).suggest_name()
            if "auto_" in name or ("_" in name and name == suggested):  # one word may be the best one
                problems.append(f"{path.relative_to(ROOT)}: named by the machine; say what it is for")
    report(problems)


def test_files_are_short_enough_to_read() -> None:
    lengths = {
        path: text.count("\n")
        for path, text in texts(*PACKAGES, "tests", "bench", "templates", endings=(".py", ".html"))
        if "migrations" not in path.parts
    }
    report([f"{path}: {n} lines; split it" for path, n in lengths.items() if n > MAX_LINES])


def test_functions_are_short() -> None:
    lengths = {
        f"{source.at(node)} {node.name}()": (node.end_lineno or node.lineno) - node.lineno + 1
        for source in sources()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    counts = sorted(lengths.values())
    assert statistics.median(counts) <= MEDIAN_LINES
    assert counts[len(counts) * 9 // 10] <= P90_LINES
    report([f"{place}: {n} lines" for place, n in lengths.items() if n > LONGEST_LINES])


# Pages


def test_pages_carry_no_inline_code() -> None:
    """The content security policy forbids it; the admin's theme is not ours to change."""
    banned = {
        r"\sstyle\s*=": "inline style: use a class, or an SVG percentage",
        r"<style\b": "style element: use the stylesheets",
        r"<script(?![^>]*\bsrc=)": "inline script: put it into a file",
        r"\son[a-z]+\s*=\s*[\"']": "inline handler: use data attributes and a script file",
        r"\shx-on": "hx-on: evaluated code is switched off",
    }
    problems = []
    for path, text in texts("templates", *PACKAGES, endings=(".html", ".svg")):
        if "admin" in path.parts or path.parts[-2:-1] == ("unfold",):
            continue
        for pattern, what in banned.items():
            for match in re.finditer(pattern, text):
                problems.append(f"{path}:{text.count(chr(10), 0, match.start()) + 1} {what}")
    report(problems)


def test_nothing_is_fetched_from_elsewhere() -> None:
    problems = []
    loaded = r"(?:\bsrc\s*=|<link[^>]*\bhref\s*=|url\(|@import)\s*[\"'(]*\s*(?:https?:)?//"
    for path, text in texts("templates", "static", endings=(".html", ".css", ".js", ".svg")):
        for match in re.finditer(loaded, text):
            problems.append(f"{path}:{text.count(chr(10), 0, match.start()) + 1} loads from another host")
    for path in ("Makefile", "requirements.lock", "requirements-dev.lock", "pyproject.toml", "Dockerfile"):
        text = (ROOT / path).read_text() if (ROOT / path).exists() else ""
        problems += [f"{path} names a place to load from: {found[0]}" for found in ADDRESS.finditer(text)]
    report(problems)
