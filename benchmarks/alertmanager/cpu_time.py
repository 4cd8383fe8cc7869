"""CPU seconds that processes and their children have used."""

import os
from collections.abc import Iterable
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(processes: Iterable[int]) -> float:
    """User and system time of the processes, their running children, and the children they have waited for."""
    wanted = set(processes)
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # has ended in the meantime
        if int(stat.parent.name) in wanted or int(fields[1]) in wanted:
            total += sum(int(ticks) for ticks in fields[11:15])
    return total / TICKS
