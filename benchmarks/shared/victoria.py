"""VictoriaMetrics, single node: a time series per instrument and field, values and times in milliseconds.

Guarantee after a crash: "the in-memory data is lost on unclean shutdown" (its documentation on -inmemoryDataFlush
Interval, before version 1.85 a constant of 5 s; https://docs.victoriametrics.com/#storage); it has no write-ahead log.
"""

import json
import time
from collections.abc import Iterable, Sequence

from benchmarks.shared.program import Program
from coinwatch.exchanges.models import Quote

FIELDS = ("price", "volume_24h", "bid", "ask")
SERIES_PER_REQUEST = 500


class VictoriaMetrics(Program):
    name = "VictoriaMetrics"
    binary = "victoria-metrics"
    package = "victoria-metrics"
    version = "1.79"
    promise = "the last seconds are lost (no write-ahead log)"

    def command(self) -> tuple[Sequence[str], dict[str, str]]:
        return (
            f"-storageDataPath={self.folder / 'data'}",
            f"-httpListenAddr=127.0.0.1:{self.port}",
            "-retentionPeriod=100y",
            "-search.maxQueryDuration=10m",
            "-loggerLevel=ERROR",
        ), {}

    @property
    def health(self) -> str:
        return "/health"

    def load(self, bodies: Iterable[bytes]) -> None:
        """Post bodies of JSON lines, the documented way for bulk data; accepted once the server responds."""
        for body in bodies:
            self.session.post(f"{self.url}/api/v1/import", body).raise_for_status()

    def flush(self) -> None:
        """Make accepted data visible to queries."""
        self.session.get(f"{self.url}/internal/force_flush").raise_for_status()

    def settle(self) -> None:
        """Wait until background merges are done and every partition is one part."""
        self.flush()
        self.session.get(f"{self.url}/internal/force_merge").raise_for_status()
        while self.metric("vm_active_force_merges") or self.metric("vm_active_merges"):
            time.sleep(0.5)
        self.stop()
        self.start()

    def count(self, field: str = "price") -> int:
        """Stored values of one field."""
        query = f"sum(count_over_time(quote_{field}[3y]))"
        response = self.session.get(f"{self.url}/api/v1/query", params={"query": query}).json()
        return int(response["data"]["result"][0]["value"][1]) if response["data"]["result"] else 0

    def metric(self, name: str) -> float:
        lines = self.session.get(f"{self.url}/metrics").text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def bodies_of(quotes: Sequence[Quote], ids: dict[object, int]) -> Iterable[bytes]:
    """Quotes as JSON lines: one line per series with all its values, the cheapest form for the server."""
    series: dict[int, tuple[list[int], list[float | None], list[float | None], list[float | None], list[float | None]]]
    series = {}
    for quote in quotes:
        number = ids[quote.instrument]
        if (columns := series.get(number)) is None:
            columns = series[number] = ([], [], [], [], [])
        times, prices, volumes, bids, asks = columns
        times.append(int(quote.observed_at.timestamp() * 1000))
        prices.append(quote.price)
        volumes.append(quote.volume_24h)
        bids.append(quote.bid)
        asks.append(quote.ask)
    lines = []
    for number, (times, *columns_of_values) in series.items():
        stamps = json.dumps(times, separators=(",", ":"))
        for field, values in zip(FIELDS, columns_of_values, strict=True):
            name = f'{{"metric":{{"__name__":"quote_{field}","instrument":"{number}"}}'
            lines.append(f'{name},"values":{json.dumps(values, separators=(",", ":"))},"timestamps":{stamps}}}')
        if len(lines) >= SERIES_PER_REQUEST:
            yield "\n".join(lines).encode()
            lines = []
    if lines:
        yield "\n".join(lines).encode()
