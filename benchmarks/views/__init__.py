"""Pages of benchmarks: the list, each benchmark's tabs, evaluations, tasks, gates, bundles."""
