"""kill -9 of the whole portal while judges are at work: nothing lost, nothing judged or scored twice."""

from collections import Counter
from functools import partial
from pathlib import Path

from tests.runs.scripted_judge import ScriptedJudge
from tests.runs.test_crash import CHECK, LAUNCH, Portal
from tests.services import wait_until
from tests.stub_endpoint import StubEndpoint

ITEMS, KILLS, CONCURRENCY, PASSES = 400, (0.2, 0.6), 32, 2
JUDGES = """
from judges.draft import Draft
from judges.services import judge_create
judging = RegisteredModel.objects.create(workspace=alpha, provider=door, name="judge-a", source="external")
labels = [dict(label="Correct", passes=True), dict(label="Wrong", passes=False)]
judge = judge_create(system_access(alpha), Draft(
    name="judge", user_template="{{ input }} {{ response }}", labels=labels, repeats=2,
    model_ids=[judging.pk]))
"""
LAUNCHED = LAUNCH.replace("version = Dataset", f"{JUDGES}\nversion = Dataset").replace(
    'scorers=[dict(key="numeric")]', "judges=[judge]"
)
CHECKED = CHECK.replace(
    "print(check_run(Run.objects.get().pk))", "print([check_run(run.pk) for run in Run.objects.all()])"
)


def judged(portal: Portal, share: float) -> bool:
    query = "SELECT count(*) FROM runs_trial WHERE state = 'done' AND judged_id IS NOT NULL"
    [(count,)] = portal.query(query)
    return bool(count > ITEMS * PASSES * share)


def test_a_killed_portal_loses_no_verdict_and_scores_none_twice(tmp_path: Path, stub: StubEndpoint) -> None:
    stub.set(latency_ms=40, script=ScriptedJudge())
    portal = Portal(tmp_path)
    portal.manage("migrate", "-v", "0")
    code = LAUNCHED.format(url=stub.base_url, items=ITEMS, concurrency=CONCURRENCY)
    portal.manage("shell", "-c", code.replace("n={n}", "What is {n} + {n}?"))
    answered: dict[int, int] = {}
    for share in KILLS:
        process = portal.start()
        wait_until(partial(judged, portal, share), f"{share:.0%} of the verdicts", 120)
        process.kill()
        answered |= dict(portal.query("SELECT id, attempt_count FROM runs_trial WHERE state = 'done'"))
    process = portal.start()
    ended = [("completed",), ("completed",)]
    wait_until(lambda: portal.query("SELECT status FROM runs_run") == ended, "the end of both", 180)
    process.stop()
    states = portal.query("SELECT id, state, attempt_count FROM runs_trial")
    assert Counter(state for _, state, _ in states) == {"done": ITEMS * (1 + PASSES)}
    assert portal.query("SELECT count(*), count(DISTINCT trial_id) FROM runs_score") == [(ITEMS, ITEMS)]
    assert portal.query("SELECT sum(scored), sum(passed) FROM runs_tally") == [(ITEMS, ITEMS)]
    assert portal.manage("shell", "-c", CHECKED).strip().endswith("[{}, {}]")
    asked = {trial: attempts for trial, _, attempts in states}
    assert all(asked[trial] == attempts for trial, attempts in answered.items()), "answered, yet asked again"
    lost = portal.query("SELECT count(*) FROM runs_attempt WHERE outcome = 'lost'")[0][0]
    assert stub.stats.total - ITEMS * (1 + PASSES) <= lost
