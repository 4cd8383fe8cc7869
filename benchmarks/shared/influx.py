"""InfluxDB 1.x: measurement ``quotes``, tag ``instrument``, a field per value, line protocol, times in seconds.

Guarantee after a crash: a write is acknowledged once it is in the write-ahead log on disk (wal-fsync-delay, default 0s:
"fsyncs every write to the WAL"; its sample configuration).
"""

import time
from collections.abc import Iterable, Mapping, Sequence

from benchmarks.shared.program import Program
from coinwatch.exchanges.models import Quote

POINTS_PER_REQUEST = 10_000
SETTLED_SECONDS = 10


class InfluxDB(Program):
    name = "InfluxDB"
    binary = "influxd"
    package = "influxdb"
    version = "1.6"
    promise = "acknowledged writes are on disk (write-ahead log, fsync)"
    fast_compaction = False

    def command(self) -> tuple[Sequence[str], dict[str, str]]:
        settings = {
            "META_DIR": str(self.folder / "meta"),
            "DATA_DIR": str(self.folder / "data"),
            "DATA_WAL_DIR": str(self.folder / "wal"),
            "DATA_QUERY_LOG_ENABLED": "false",
            "HTTP_BIND_ADDRESS": f"127.0.0.1:{self.port}",
            "HTTP_LOG_ENABLED": "false",
            "HTTP_MAX_BODY_SIZE": "0",
            "BIND_ADDRESS": "127.0.0.1:0",
            "MONITOR_STORE_ENABLED": "false",
            "REPORTING_DISABLED": "true",
        }
        if self.fast_compaction:
            settings |= {
                "DATA_CACHE_SNAPSHOT_WRITE_COLD_DURATION": "1s",
                "DATA_COMPACT_FULL_WRITE_COLD_DURATION": "1s",
            }
        return ("-config", "/dev/null"), {f"INFLUXDB_{name}": value for name, value in settings.items()}

    @property
    def health(self) -> str:
        return "/ping"

    def start(self) -> None:
        super().start()
        self.query("CREATE DATABASE coinwatch", method="POST")

    def load(self, bodies: Iterable[bytes], policy: str = "autogen") -> None:
        """Write bodies of line protocol; ``policy`` is the retention policy."""
        parameters = {"db": "coinwatch", "rp": policy, "precision": "s"}
        for body in bodies:
            self.session.post(f"{self.url}/write", body, params=parameters).raise_for_status()

    def flush(self) -> None:
        """Nothing to do: writes are visible immediately."""

    def settle(self, touched: Mapping[str, bytes]) -> None:
        """Restart with full compaction due after one second instead of four hours, and wait until it is done.

        ``touched`` are points already stored, by retention policy, at least one per shard: after a restart, data in
        memory is written to disk only once something is written.
        """
        self.stop()
        self.fast_compaction = True
        self.start()
        for policy, body in touched.items():
            self.load([body], policy)
        size, since = -1, time.monotonic()
        while time.monotonic() - since < SETTLED_SECONDS:
            if (now := self.disk_bytes()) != size:
                size, since = now, time.monotonic()
            time.sleep(1)
        self.stop()
        self.fast_compaction = False
        self.start()

    def query(self, text: str, method: str = "GET") -> list[dict[str, list[list[object]]]]:
        """The series of the response, with times in milliseconds."""
        parameters = {"q": text, "db": "coinwatch", "epoch": "ms"}
        response = self.session.request(method, f"{self.url}/query", params=parameters)
        response.raise_for_status()
        result = response.json()["results"][0]
        if "error" in result:
            raise RuntimeError(result["error"])
        return list(result.get("series", []))

    def count(self, field: str = "price") -> int:
        series = self.query(f"SELECT count({field}) FROM quotes")
        return int(str(series[0]["values"][0][1])) if series else 0


def bodies_of(quotes: Sequence[Quote], ids: dict[object, int]) -> Iterable[bytes]:
    """Quotes in line protocol, in their order."""
    for first in range(0, len(quotes), POINTS_PER_REQUEST):
        yield "\n".join(
            f"quotes,instrument={ids[quote.instrument]} price={quote.price},volume_24h={quote.volume_24h},"
            f"bid={quote.bid},ask={quote.ask} {int(quote.observed_at.timestamp())}"
            for quote in quotes[first : first + POINTS_PER_REQUEST]
        ).encode()
