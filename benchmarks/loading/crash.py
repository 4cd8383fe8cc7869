"""What the time-series servers retain if they are killed right after acknowledging a write."""

import signal
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from benchmarks.shared import influx, victoria
from benchmarks.shared.market import INSTRUMENTS, instruments, quotes
from benchmarks.shared.program import Missing

CYCLES = 100


def after_crashes() -> Iterator[str]:
    """For each installed server, a sentence on what it lost: load, kill (SIGKILL), restart, count."""
    ids: dict[Any, int] = {instrument: number for number, instrument in enumerate(instruments(), 1)}
    loaded = list(quotes(0, CYCLES))
    makers: tuple[tuple[Callable[[], Any], Callable[..., Iterable[bytes]]], ...] = (
        (victoria.VictoriaMetrics, victoria.bodies_of),
        (influx.InfluxDB, influx.bodies_of),
    )
    for make_program, bodies_of in makers:
        try:
            with make_program() as program:
                began = time.perf_counter()
                for first in range(0, len(loaded), INSTRUMENTS):
                    program.load(bodies_of(loaded[first : first + INSTRUMENTS], ids))
                program.stop(signal.SIGKILL)
                took = time.perf_counter() - began
                program.start()
                lost = len(loaded) - program.count()
                yield (
                    f"{program.name}, killed (SIGKILL) after acknowledging {len(loaded):,} quotes within"
                    f" {took:.1f} s, lost {lost:,} of them"
                )
        except Missing:
            continue
