"""Large finished runs made by copying rows: executing a million items would take too long."""

import math
from typing import Any

from django.db import connection, models, transaction
from django.db.models import Max

from datasets.models import DatasetVersion, Item
from runs.engine.check import check_run
from runs.models import Attempt, GridCell, LogLine, Run, Score, Tally, Trial, cell_size

COUNTERS = ("total", "done", "errored", "canceled", "answered", "retried", "input_tokens", "output_tokens")
SUMS = ("scored", "passed", "unscored", "value_sum", "value_sum_squares")


def copy_rows(model: type[models.Model], source: str, values: list[Any], **changed: str) -> None:
    """INSERT … SELECT of all columns of `model`, read as `old`, except those that `changed` gives as SQL."""
    names = [field.column for field in model._meta.concrete_fields if not field.primary_key]
    picked = ", ".join(changed.get(name, f"old.{quoted(name)}") for name in names)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {model._meta.db_table} ({', '.join(map(quoted, names))}) "
            f"SELECT {picked} FROM {source}",
            values,
        )


def learn_sizes() -> None:
    """PostgreSQL plans by what it last saw of a table, which is not what this transaction has written."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE datasets_item, runs_trial, runs_score")


def quoted(name: str) -> str:
    return connection.ops.quote_name(name)


@transaction.atomic
def enlarged(run_id: int, times: int) -> int:
    """The id of a copy of a finished run of one epoch with `times` as many items, trials and scores."""
    run = Run.objects.get(pk=run_id)
    old, version = run.dataset_version, larger_version(run.dataset_version, times)
    copy = Run.objects.get(pk=run_id)
    copy.pk, copy.dataset_version, copy._state.adding = None, version, True
    for name in COUNTERS:
        setattr(copy, name, getattr(run, name) * times)
    copy.save(force_insert=True)
    learn_sizes()
    for number in range(times):
        _copy_part(run, copy, old.item_count * number)
    copy_rows(LogLine, "runs_logline old WHERE run_id = %s", [run.pk], run_id=str(copy.pk))
    sums = {name: f"old.{name} * {times}" for name in SUMS}
    copy_rows(Tally, "runs_tally old WHERE run_id = %s", [run.pk], run_id=str(copy.pk), **sums)
    _fill_grid(copy)
    differing = check_run(copy.pk)
    assert not differing, f"counters of the copy differ from COUNT(*): {differing}"
    return int(copy.pk)


@transaction.atomic
def twin(run_id: int) -> int:
    """The id of a run over the same items that does otherwise on every third: to compare with. It has no
    attempts, log or grid."""
    run, copy = Run.objects.get(pk=run_id), Run.objects.get(pk=run_id)
    copy.pk, copy.alias, copy._state.adding = None, "twin", True
    copy.save(force_insert=True)
    other = "CASE WHEN old.seq %% 3 = 0 THEN NOT old.passed ELSE old.passed END"
    copy_rows(Trial, "runs_trial old WHERE run_id = %s", [run.pk], run_id=str(copy.pk), passed=other)
    copy_scores(copy.pk, "old.passed", scorer=f"'{run.scorer_names[0]}'", answer="old.answer")
    return int(copy.pk)


@transaction.atomic
def judged(run_id: int, judges: int) -> None:
    """Gives a run so many finished judges, each with a verdict and a reason for every response."""
    run, entries = Run.objects.get(pk=run_id), []
    for name in [f"judge-{number + 1}" for number in range(judges)]:
        judging = Run.objects.get(pk=run_id)
        judging.pk, judging.judged, judging.scorer, judging._state.adding = None, run, name, True
        judging.config = run.config | {"judge": {"kind": "classify", "both_orders": False}}
        judging.save(force_insert=True)
        entries.append(
            {"key": "judge", "name": name, "title": name, "kind": "classify", "version": 1, "panel": "",
             "judging": judging.pk}
        )  # fmt: skip
        answer = "CASE WHEN old.seq %% 3 = 0 THEN 'Wrong' ELSE 'Correct' END"
        copy_scores(run_id, "old.seq %% 3 <> 0", scorer=f"'{name}'", answer=answer)
    run.config["judges"] = entries
    run.save(update_fields=["config"])


def copy_scores(run_id: int, passed: str, *, scorer: str, answer: str) -> None:
    """A score for each trial of a run, and their tally; the values are SQL over the trial `old`."""
    hit = f"CASE WHEN {passed} THEN 1 ELSE 0 END"
    reason = "'What is asked for is there, and every part of it agrees with the reference.'"
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO runs_score (run_id, trial_id, scorer, value, passed, answer, explanation) "
            f"SELECT run_id, id, {scorer}, {hit}, {passed}, {answer}, {reason} "
            "FROM runs_trial old WHERE run_id = %s ORDER BY id",
            [run_id],
        )
        cursor.execute(
            "INSERT INTO runs_tally (run_id, scorer, section, scored, passed, value_sum, value_sum_squares) "
            f"SELECT run_id, {scorer}, section, COUNT(*), SUM({hit}), SUM({hit}), SUM({hit}) "
            "FROM runs_trial old WHERE run_id = %s GROUP BY run_id, section",
            [run_id],
        )


def larger_version(old: DatasetVersion, times: int) -> DatasetVersion:
    version = DatasetVersion.objects.get(pk=old.pk)
    latest = DatasetVersion.objects.filter(dataset=old.dataset).aggregate(latest=Max("number"))["latest"]
    version.pk, version._state.adding = None, True
    version.number, version.item_count = latest + 1, old.item_count * times
    version.sections = [section | {"items": section["items"] * times} for section in old.sections]
    version.save(force_insert=True)
    for number in range(times):
        copy_rows(
            Item, "datasets_item old WHERE version_id = %s", [old.pk],
            version_id=str(version.pk), position=f"old.position + {old.item_count * number}",
        )  # fmt: skip
    return version


def _copy_part(run: Run, copy: Run, offset: int) -> None:
    """The run's rows once more, `offset` items further on."""
    seq = f"old.seq + {offset}"
    copy_rows(
        Trial,
        f"runs_trial old JOIN datasets_item item ON item.version_id = %s AND item.position = {seq} "
        "WHERE old.run_id = %s",
        [copy.dataset_version_id, run.pk],
        run_id=str(copy.pk), seq=seq, item_id="item.id",
    )  # fmt: skip
    learn_sizes()
    for model in (Attempt, Score):
        copy_rows(
            model,
            f"{model._meta.db_table} old JOIN runs_trial first ON first.id = old.trial_id "
            f"JOIN runs_trial trial ON trial.run_id = %s AND trial.seq = first.seq + {offset} "
            "WHERE old.run_id = %s",
            [copy.pk, run.pk],
            run_id=str(copy.pk), trial_id="trial.id",
        )  # fmt: skip


def _fill_grid(run: Run) -> None:
    size = cell_size(run.total)
    cells = [GridCell(run=run, cell=number) for number in range(math.ceil(run.total / size))]
    for cell in cells:
        trials = run.trials.filter(seq__gt=cell.cell * size, seq__lte=(cell.cell + 1) * size)
        states = list(trials.values_list("state", "passed"))
        cell.done = sum(state == "done" for state, _ in states)
        cell.passed = sum(state == "done" and passed is True for state, passed in states)
        cell.errored = sum(state == "errored" for state, _ in states)
    GridCell.objects.bulk_create(cells)
