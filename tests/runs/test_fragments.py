"""Frames for open pages: drawn together, and only what a page lacks is sent."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from runs.engine.host import run_to_end
from runs.fragments import Drawn, Wanted, news, render_frames
from runs.models import Run
from workspaces.models import Workspace

pytestmark = pytest.mark.usefixtures("engine")
Launched = Callable[..., Run]


def test_a_page_gets_only_what_it_lacks(alpha: Workspace, launched: Launched) -> None:
    run, wanted = launched(3), "pending"
    keys = [Wanted(run.pk, view, True, wanted) for view in ("board", "run")]
    first = render_frames(alpha, keys)
    Run.objects.filter(pk=run.pk).update(done=2)
    second = render_frames(alpha, keys)
    for key in keys:
        old, new = first[key], second[key]
        assert old and new and news(old, None) == "".join(old.parts.values()) and not news(old, old)
        assert 'id="run-' in news(new, old) and len(news(new, old)) < len(news(new, None))


def test_calm_parts_are_drawn_once_a_second_and_at_once_when_the_status_changes(
    alpha: Workspace, launched: Launched
) -> None:
    run, drawn = launched(3), Drawn()
    key = Wanted(run.pk, "run", True, "pending")
    first, again = (render_frames(alpha, [key], drawn)[key] for _ in range(2))
    assert first and again and again.is_behind and not first.is_behind
    run_to_end(run.pk)
    last = render_frames(alpha, [key], drawn)[key]
    assert last and last.status == "completed" and not last.is_behind
    assert "n\u00a0=\u00a03" in last.parts["metrics"]


def test_many_runs_take_few_queries_more(alpha: Workspace, launched: Launched) -> None:
    runs = [launched(2) for _ in range(4)]

    def queries(count: int) -> int:
        with CaptureQueriesContext(connection) as found:
            render_frames(alpha, [Wanted(run.pk, "board", False, "pending") for run in runs[:count]])
        return len(found)

    queries(1)
    assert queries(4) == queries(1)


def test_a_run_that_is_gone_has_no_frame(alpha: Workspace, beta: Workspace, launched: Launched) -> None:
    key = Wanted(launched(1).pk, "board", True)
    assert render_frames(beta, [key]) == {key: None}
