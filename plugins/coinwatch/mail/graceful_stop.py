"""SIGTERM between two mails instead of in the middle of one."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Stop = Callable[[], bool]


@contextmanager
def stopping_gently() -> Iterator[Stop]:
    """Tells whether SIGTERM has come; its usual effect follows at the end of the block.

    Nothing is changed where somebody else handles the signal, and in threads, which get none.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield asked.is_set
        return
    signal.signal(signal.SIGTERM, lambda *_: asked.set())
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if asked.is_set():
            signal.raise_signal(signal.SIGTERM)
