"""Who holds a lease: a name by which others on the same machine can tell whether it lives."""

import os
import secrets
import socket
import uuid
from contextlib import suppress
from functools import cache
from hashlib import blake2s
from pathlib import Path


@cache
def machine() -> str:
    """This host since its start, and this space of process numbers: another container has its own. Names of
    hosts alone are often alike, also in their beginnings."""
    name, start, space = socket.gethostname(), str(uuid.getnode()), 0
    with suppress(OSError):
        start = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    with suppress(OSError):
        space = Path("/proc/self/ns/pid").stat().st_ino
    return f"{name[:30]}/{blake2s(f'{name} {start} {space}'.encode(), digest_size=5).hexdigest()}"


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
