"""Who holds a lease: a name by which others on the same machine can tell whether it lives."""

import os
import secrets
import socket
from pathlib import Path


def machine() -> str:
    """This host and this space of process numbers; another container has its own."""
    try:
        space = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        space = 0
    return f"{socket.gethostname()[:30]}/{space}"


def new_owner() -> str:
    return f"{machine()}:{os.getpid()}:{secrets.token_hex(4)}"


def is_dead(owner: str) -> bool:
    """True only for a process of this machine that is gone; of any other nothing is known."""
    where, _, rest = owner.partition(":")
    number = rest.partition(":")[0]
    if where != machine() or not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
