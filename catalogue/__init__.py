"""Datasets from a hub, and well-known benchmarks that know how to be imported."""
