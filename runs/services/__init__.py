"""What people command: launch, pause, resume, cancel, retry, delete: for pages, admin, API and terminal."""

from runs.services.ceilings import BadCeilings, run_set_ceilings
from runs.services.control import CannotDo, run_cancel, run_pause, run_resume, run_retry
from runs.services.deletion import evaluation_delete, run_delete
from runs.services.launch import launch, launch_plan
from runs.services.wish import Launch, LaunchPlan, LaunchProblems

__all__ = [
    "BadCeilings",
    "CannotDo",
    "Launch",
    "LaunchPlan",
    "LaunchProblems",
    "evaluation_delete",
    "launch",
    "launch_plan",
    "run_cancel",
    "run_delete",
    "run_pause",
    "run_resume",
    "run_retry",
    "run_set_ceilings",
]
