"""Ports for servers that the tests start."""

import itertools
import os
import socket

# Below the ports that the kernel gives to outgoing connections, and a range for each pytest-xdist worker: a port found
# free is still free when the server binds it.
FIRST, COUNT = 20_000, 1_500
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_OFFSETS = itertools.count(os.getpid())


def free_port() -> int:
    """A free TCP port of 127.0.0.1, not returned before."""
    for offset in itertools.islice(_OFFSETS, COUNT):
        port = FIRST + WORKER % 8 * COUNT + offset % COUNT
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no free port between {FIRST} and {FIRST + 8 * COUNT}")
