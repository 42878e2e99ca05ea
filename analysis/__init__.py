"""What results mean: statistics, comparison of runs, gates."""
