"""Benchmarks: what is measured and how, who leads by it, and the gates that decide from it."""
