"""Making and deleting gates."""

from collections.abc import Mapping
from typing import Any

from benchmarks.models import Benchmark, Gate
from benchmarks.rules import build_rule
from datasets.models import Dataset
from evalportal.lib.plugins import UnknownPlugin
from judges.options import BadOptions
from workspaces import audit
from workspaces.access import Access
from workspaces.services import Refused

MOST = 100


class BadGate(Refused):
    """Why there can be no such gate, in words for people."""


def gate_create(access: Access, of: Benchmark | Dataset, *, rule: str, options: Mapping[str, Any]) -> Gate:
    """Raises BadGate."""
    try:
        built = build_rule(rule, options)
    except (UnknownPlugin, BadOptions) as error:
        raise BadGate(f"{error}") from error
    if isinstance(of, Dataset) and built.compares and not options.get("baseline"):
        raise BadGate("On a dataset, name the model to compare with as the baseline.")
    if Gate.objects.filter(workspace=access.workspace).count() >= MOST:
        raise BadGate(f"At most {MOST} gates in a workspace.")
    target = {"benchmark": of} if isinstance(of, Benchmark) else {"dataset": of}
    gate = Gate.objects.create(
        workspace=access.workspace, rule=rule, options=dict(options), created_by=access.actor, **target
    )
    audit.record(access, "gate.create", f"{of.name}: {built}")
    return gate


def gate_delete(access: Access, gate: Gate) -> None:
    audit.record(access, "gate.delete", f"{gate.benchmark or gate.dataset}: {gate.rule}")
    gate.delete()
