"""Regular expressions of users, matched under a hard limit of processor time.

Python's `re` holds the interpreter while it matches and can't be interrupted from a thread, and no
static check tells a slow pattern from a fast one. So patterns of users are matched in a child
process; a round trip costs some 40 µs.
"""

import json
import re

from judges.scorers.child import Child

CPU_LIMIT_S = 0.5
MAX_PATTERN = 1_000
MAX_TEXT = 100_000
FIRST_THAT_MATCHED = -1  # in place of a group: the first that captured something, else nothing
TOO_SLOW = f"the pattern took longer than {CPU_LIMIT_S} s on this response"

# Runs isolated (-I) and without site packages (-S): it sees a pattern and a text, nothing else.
PROGRAM = """
import json, re, resource, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
cache = {}
for line in sys.stdin.buffer:
    pattern, flags, group, last, text, limit = json.loads(line)
    key = (pattern, flags)
    signal.setitimer(signal.ITIMER_VIRTUAL, limit)
    if key not in cache:
        cache.clear()
        cache[key] = re.compile(pattern, flags)
    found = None
    if last:
        for found in cache[key].finditer(text):
            pass
    else:
        found = cache[key].search(text)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    if found is None:
        answer = None
    elif group == -1:
        answer = next((part for part in found.groups() if part), "")
    else:
        answer = found.group(group) or ""
    sys.stdout.write(json.dumps([found is not None, answer]) + "\\n")
    sys.stdout.flush()
"""


class TooSlow(Exception):
    """The pattern needed more than its share of processor time on this text."""


_child = Child(PROGRAM)


def compile_problem(pattern: str) -> str:
    """Why the pattern can't be used, or nothing."""
    if not pattern:
        return "is required"
    if len(pattern) > MAX_PATTERN:
        return f"is longer than {MAX_PATTERN:,} characters"
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"is not a regular expression: {error}"
    return ""


def flags(*, ignore_case: bool, multiline: bool, dot_all: bool) -> int:
    return (
        (re.IGNORECASE if ignore_case else 0)
        | (re.MULTILINE if multiline else 0)
        | (re.DOTALL if dot_all else 0)
    )


def group_of(pattern: "re.Pattern[str]", wanted: str) -> int | str:
    """The group to read. Raises LookupError with words for the form."""
    if not wanted:
        return 1 if pattern.groups else 0
    if wanted.isascii() and wanted.isdigit():
        if int(wanted) > pattern.groups:
            raise LookupError(f"the pattern has {pattern.groups} groups")
        return int(wanted)
    if wanted not in pattern.groupindex:
        names = ", ".join(pattern.groupindex) or "none"
        raise LookupError(f"the pattern has no group named {wanted!r} (named groups: {names})")
    return wanted


def find(pattern: str, text: str, *, flags: int = 0, group: str | int = 0, last: bool = False) -> str | None:
    """The group of the first (or last) match, None without a match. Raises TooSlow.

    Only the last MAX_TEXT characters are read.
    """
    request = [pattern, flags, group, last, text[-MAX_TEXT:], CPU_LIMIT_S]
    answer = _child.ask(json.dumps(request).encode())
    if not answer:
        raise TooSlow
    found, value = json.loads(answer)
    return str(value) if found else None
