"""Pages of runs: board, launch sheet, inspector, and what is done to a run."""
