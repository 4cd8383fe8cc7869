"""Lets SIGTERM end a run between two emails instead of in the middle of one."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Stop = Callable[[], bool]


@contextmanager
def graceful_stop() -> Iterator[Stop]:
    """Yield a function that says whether SIGTERM has arrived; the signal takes effect at the end of the block.

    Does nothing in other threads than the main one, which get no signals, or if SIGTERM already has a handler.
    """
    received = threading.Event()
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield received.is_set
        return
    signal.signal(signal.SIGTERM, lambda *_: received.set())
    try:
        yield received.is_set
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if received.is_set():
            signal.raise_signal(signal.SIGTERM)
