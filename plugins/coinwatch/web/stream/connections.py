"""A limit on open streams, in total and per network."""

from collections import Counter

from coinwatch.web.error_handlers import Busy, TooManyRequests
from coinwatch.web.middleware.rate_limiter import network_of

RETRY_SECONDS = 30


class Connections:
    """Counts the open streams of this process, by the network of the client (IPv6 addresses count per /64)."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def open(self, client: str, *, limit: int, limit_per_network: int) -> None:
        """Count a stream of a client. Raises TooManyRequests or Busy if a limit is reached."""
        network = network_of(client)
        if self._open[network] >= limit_per_network:
            raise TooManyRequests(
                f"Your network has {limit_per_network} open streams, the maximum. Close one, then try again.",
                RETRY_SECONDS,
            )
        if self._open.total() >= limit:
            raise Busy(f"The server has {limit} open streams, the maximum. Try again later.", RETRY_SECONDS)
        self._open[network] += 1

    def close(self, client: str) -> None:
        """Count the end of a stream."""
        network = network_of(client)
        self._open[network] -= 1
        if self._open[network] <= 0:
            del self._open[network]
