"""`manage.py evaluate`: from words at a terminal to an executed run and its figures."""


class BadUsage(Exception):
    """What was asked for can't be; the message says what to change. Exit code 2."""
