"""The statistics stand alone: numbers in, numbers out."""

import ast
import subprocess
import sys
from pathlib import Path

import analysis.stats

FOLDER = Path(analysis.stats.__file__).parent


def test_no_database_and_no_django() -> None:
    allowed = ("analysis.stats", "judges.metrics", "numpy", "scipy")
    known = sys.stdlib_module_names
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                assert name.startswith(allowed) or name.split(".")[0] in known, f"{path.name} imports {name}"


def test_import_is_light() -> None:
    """Pages import these modules; scipy.stats, which takes half a second, loads when it is needed."""
    modules = ", ".join(
        f"analysis.stats.{path.stem}" for path in FOLDER.glob("*.py") if path.stem != "__init__"
    )
    code = f"import {modules}, sys; print('scipy.stats' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=FOLDER.parents[1])
    assert done.stdout.strip() == "False", done.stderr
