"""CPU time and memory of a process and its children, from /proc; and what this machine is."""

import os
import platform
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


def parents() -> dict[int, int]:
    """pid → parent of every process of this machine."""
    found = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit() and (fields := stat_of(int(folder.name))):
            found[int(folder.name)] = int(fields[1])
    return found


def stat_of(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; empty when the process is gone."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def tree(*roots: int) -> list[int]:
    """The processes and all that they started, as far as these live."""
    parent_of, found = parents(), list(roots)
    for pid in found:
        found += [child for child, parent in parent_of.items() if parent == pid and child not in found]
    return found


def cpu_s(*roots: int) -> float:
    """CPU seconds, user and system, of the processes, their threads and their children, ended ones too."""
    fields = filter(None, map(stat_of, tree(*roots)))
    return sum(sum(map(int, values[11:15])) for values in fields) / TICKS_PER_S


def memory_mb(pid: int, *names: str) -> float:
    """The sum of these lines of /proc/PID/status, such as VmHWM (peak) or RssAnon; 0 when it is gone."""
    try:
        lines = (PROC / str(pid) / "status").read_text().splitlines()
    except OSError:
        return 0.0
    values = {
        name: text.split()[0] for name, _, text in (line.partition(":") for line in lines) if text.split()
    }
    return sum(int(values.get(name, 0)) for name in names) / 1024


def peak_mb(*roots: int) -> float:
    """Resident memory at its peak of the largest process among these and their children."""
    return max((memory_mb(pid, "VmHWM") for pid in tree(*roots)), default=0.0)


def unshared_mb(*roots: int) -> float:
    """Resident memory now that is not a mapped file (SQLite maps its database), of the largest process."""
    return max((memory_mb(pid, "RssAnon") for pid in tree(*roots)), default=0.0)


def machine() -> str:
    return f"{os.cpu_count()} cores, Python {platform.python_version()}"
