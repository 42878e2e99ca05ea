"""What people command: launch, pause, resume, cancel, retry, delete: for pages, admin, API and terminal."""

from runs.services.control import CannotDo, run_cancel, run_pause, run_resume, run_retry
from runs.services.deletion import evaluation_delete, run_delete
from runs.services.launch import Launch, LaunchPlan, LaunchProblems, launch, launch_plan

__all__ = [
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
]
