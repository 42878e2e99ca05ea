"""Faults on purpose: real servers and processes are broken, then every row and every call is counted."""
