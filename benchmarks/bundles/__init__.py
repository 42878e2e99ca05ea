"""Benchmarks as zip files: a YAML document and the items, within limits; also in Codabench's shape."""
