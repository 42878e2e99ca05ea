"""Pages of comparisons, triage and the dashboard."""
