"""What judging costs: responses with several judges each, beside the same number of plain calls.

Both are one launch in one portal that does all work in one process. The window goes from the first call
to the last answer recorded, over the run and its judgings.
"""

from collections.abc import Sequence
from dataclasses import replace

from bench.growth import on_a_copy
from bench.portal import Portal, moment
from bench.rows import Cell, Row, median
from bench.stores import Stores, scenario

ITEMS, JUDGES, LATENCY_MS, IN_FLIGHT = 1_000, 2, 50, 256
ASKS = "Is the answer right?"  # in every judge's prompt, in no item
SCRIPT = {ASKS: '{"feedback": "It is.", "label": "Correct"}', "": "ANSWER: 2"}


def measured(
    stores: Stores, database: str, repetitions: int = 1, items: int = ITEMS, judges: int = JUDGES
) -> list[Row]:
    """Rows of the cases `plain calls` and `judging`, of equally many calls, interleaved; the second has
    their ratio."""
    stores.endpoint.reset(latency_ms=LATENCY_MS, script=SCRIPT)
    calls = items * (1 + judges)
    row = Cell(LATENCY_MS, IN_FLIGHT, calls).row("plain calls", database, 1)
    plain, judged = list[Row](), list[Row]()
    try:
        with on_a_copy(stores, database, calls) as running:
            versions = scenario(running.prepared.env, "judges", str(judges), ASKS)["judges"]
            _window_s(running, IN_FLIGHT, ())  # both are measured on a portal that is warm
            for _ in range(repetitions):
                rate = calls / _window_s(running, calls, ())
                of_judges = calls / _window_s(running, items, versions)
                plain.append(replace(row, window_items_per_second=rate))
                more = {"ratio_to_plain_calls": of_judges / rate, "judges": judges}
                judged.append(replace(row, case="judging", window_items_per_second=of_judges, more=more))
    finally:
        stores.endpoint.reset(script=None)
    return [median(plain), median(judged)]


def _window_s(running: Portal, items: int, judges: Sequence[int]) -> float:
    run, _ = running.launch(items, IN_FLIGHT, judges=judges)
    running.wait(run)
    query = running.prepared.query
    judgings = [row[0] for row in query("SELECT id FROM runs_run WHERE judged_id = %s", run)]
    for judging in judgings:
        running.wait(judging)
    running.check(run, *judgings)
    ids = ", ".join(map(str, [run, *judgings]))
    [(first,)] = query(f"SELECT min(started_at) FROM runs_attempt WHERE run_id IN ({ids})")
    [(last,)] = query(f"SELECT max(finished_at) FROM runs_trial WHERE run_id IN ({ids})")
    return (moment(last) - moment(first)).total_seconds()
