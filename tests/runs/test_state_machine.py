"""A thousand runs of fifty steps each: no order of events brings a run or a trial into an illegal state."""

from collections import Counter
from collections.abc import Callable

import pytest
from django.db import connection
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from runs.engine.plan import load_plan
from runs.models import Run
from tests.runs.machine import RunMachine
from tests.runs.pictures import LEGAL, Move
from workspaces.access import Access

RUNS = {"sqlite": 1000, "postgresql": 60}  # the rules are the same; there the statements are tried


@pytest.mark.django_db
def test_no_order_of_events_is_illegal(launched: Callable[..., Run], alpha_access: Access) -> None:
    seen: Counter[Move] = Counter()
    run = launched(4, params={"max_tokens": 16})
    given = {"run": run, "plan": load_plan(run.pk), "access": alpha_access, "seen": seen}
    run_state_machine_as_test(
        type("Machine", (RunMachine,), given),
        settings=settings(
            max_examples=RUNS[connection.vendor],
            stateful_step_count=50,
            deadline=None,
            derandomize=True,  # the same thousand each time
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
        ),
    )
    print(f"{seen.total():,} moves: {dict(seen)}")
    never = LEGAL - seen.keys() if connection.vendor == "sqlite" else None
    assert not never, "moves that were never tried"
