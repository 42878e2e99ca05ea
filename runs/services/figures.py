"""Metrics over all trials of a run: at once where it is small, else by a worker while the page waits."""

from django.core.cache import cache

from runs.models import Run
from runs.selectors_figures import Asked, Figures, cache_key, keep_figures, kept_figures
from runs.tasks import figures

AT_ONCE_UP_TO = 3_000  # trials
WAITED_S = 120  # then a page that still waits asks a worker again


def run_figures(run: Run, asked: Asked) -> Figures | None:
    """None while a worker computes them."""
    found = kept_figures(run, asked)
    if found is not None:
        return found
    if run.terminal <= AT_ONCE_UP_TO:
        return keep_figures(run, asked)
    if cache.add(f"{cache_key(run, asked)}:asked", 1, WAITED_S):
        figures.delay_on_commit(run.pk, asked.scorer, asked.cluster)
    return None
