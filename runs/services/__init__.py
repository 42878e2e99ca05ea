"""What people command: launch, pause, resume, cancel, retry, delete: for pages, admin, API and terminal."""

from runs.services.by_hand import (
    AnsweredMeanwhile,
    Imported,
    answer_save,
    answers_import,
    by_hand_reopen,
    by_hand_score,
    pack_import,
)
from runs.services.ceilings import BadCeilings, run_set_ceilings
from runs.services.control import CannotDo, run_cancel, run_pause, run_resume, run_retry
from runs.services.deletion import evaluation_delete, run_delete
from runs.services.judging import BadJudge, Terms, add_judge, judges_named
from runs.services.launch import launch, launch_plan
from runs.services.wish import Launch, LaunchPlan, LaunchProblems

__all__ = [
    "AnsweredMeanwhile",
    "BadCeilings",
    "BadJudge",
    "CannotDo",
    "Imported",
    "Launch",
    "LaunchPlan",
    "LaunchProblems",
    "Terms",
    "add_judge",
    "answer_save",
    "answers_import",
    "by_hand_reopen",
    "by_hand_score",
    "evaluation_delete",
    "judges_named",
    "launch",
    "launch_plan",
    "pack_import",
    "run_cancel",
    "run_delete",
    "run_pause",
    "run_resume",
    "run_retry",
    "run_set_ceilings",
]
