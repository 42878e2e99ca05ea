"""What a process has in flight, in a file that outlives its death though not its machine.

Leases are taken in batches before the work begins. When a process is killed, its journal tells which
of its leased trials had begun, so that a call that never went out neither stays on record nor counts
as a crash of its item. The file is mapped into memory: a note costs no system call.
"""

import mmap
import os
import struct
from pathlib import Path
from urllib.parse import quote

from django.conf import settings

NOTE = struct.Struct("<qI")  # trial, fence; a trial of 0 is an empty slot
SLOTS = 1 << 17


class Journal:
    """Of this process; only its engine's loop writes."""

    def __init__(self, owner: str):
        self.path = path_of(owner)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600)
        os.ftruncate(file, NOTE.size * SLOTS)  # sparse: what was never written takes no room
        self._map = mmap.mmap(file, NOTE.size * SLOTS)
        os.close(file)
        self._slots: dict[int, int] = {}  # by trial
        self._free: list[int] = []

    def begin(self, trial_id: int, fence: int) -> None:
        """From now on the trial's call may have gone out. Raises ValueError beyond 131,072 at once."""
        slot = self._slots.get(trial_id)
        if slot is None:
            slot = self._free.pop() if self._free else len(self._slots)
        if slot >= SLOTS:
            raise ValueError("too many items in flight in one process")
        self._slots[trial_id] = slot
        NOTE.pack_into(self._map, slot * NOTE.size, trial_id, fence)

    def end(self, trial_id: int) -> None:
        """What came of it is in the database."""
        slot = self._slots.pop(trial_id, None)
        if slot is not None:
            NOTE.pack_into(self._map, slot * NOTE.size, 0, 0)
            self._free.append(slot)

    def close(self) -> None:
        self._map.close()
        self.path.unlink(missing_ok=True)


def folder() -> Path:
    return Path(settings.DATA_DIR) / "engine"


def path_of(owner: str) -> Path:
    return folder() / f"{quote(owner, safe='')}.journal"


def begun_by(owner: str) -> set[tuple[int, int]] | None:
    """(trial, fence) of all that the process has in flight; None when nothing is known of it here."""
    try:
        written = path_of(owner).read_bytes()
    except OSError:
        return None
    return {note for note in NOTE.iter_unpack(written) if note[0]}


def remove(owner: str) -> None:
    """Of a process that is gone, when nothing is leased to it any more."""
    path_of(owner).unlink(missing_ok=True)
