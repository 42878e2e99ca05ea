"""What a process has begun, in a file that outlives its death though not its machine.

A lease is taken before the work begins, and a batch of leases at once. When a process is killed,
its journal tells which of its leased trials had begun, so that a call that never went out neither
stays on record nor counts as a crash of its item. One `write` of 12 bytes for each call.
"""

import os
import struct
from pathlib import Path
from urllib.parse import quote

from django.conf import settings

RECORD = struct.Struct("<qI")  # trial, fence


def folder() -> Path:
    return Path(settings.DATA_DIR) / "engine"


def path_of(owner: str) -> Path:
    return folder() / f"{quote(owner, safe='')}.begun"


class Journal:
    """Of this process; only its engine's loop writes."""

    def __init__(self, owner: str):
        self.path = path_of(owner)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def begin(self, trial_id: int, fence: int) -> None:
        """From now on the trial's call may have gone out."""
        os.write(self._file, RECORD.pack(trial_id, fence))

    def forget(self) -> None:
        """Nothing that it names is leased any more."""
        os.ftruncate(self._file, 0)

    def close(self) -> None:
        os.close(self._file)
        self.path.unlink(missing_ok=True)


def begun_by(owner: str) -> set[tuple[int, int]] | None:
    """(trial, fence) of all that the process began; None when nothing is known of it here."""
    try:
        written = path_of(owner).read_bytes()
    except OSError:
        return None
    whole = len(written) - len(written) % RECORD.size
    return {(trial, fence) for trial, fence in RECORD.iter_unpack(written[:whole])}
