"""Stored candles, and copies of all data in the other databases.

All instruments have hourly candles for the year before ``NOW``, daily candles for five years and, in Postgres only,
1-minute candles for the last week, from which coinwatch computes changes. They are inserted in order of time, as
collection stores them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal

from benchmarks.shared.history import (
    DAY_MINUTES,
    NOW_MINUTE,
    days_of,
    fill_prices,
    first_minute,
    moment,
    run_all,
    settle,
)
from benchmarks.shared.influx import InfluxDB
from benchmarks.shared.market import INSTRUMENTS, SCATTERED, START, TICKS
from benchmarks.shared.postgres import Database
from benchmarks.shared.victoria import VictoriaMetrics

Resolution = Literal["1h", "1d"]
FIRST_MINUTE: dict[Resolution, int] = {"1h": NOW_MINUTE - 365 * DAY_MINUTES, "1d": NOW_MINUTE - 5 * 365 * DAY_MINUTES}
WIDTH_MINUTES: dict[Resolution, int] = {"1h": 60, "1d": DAY_MINUTES}
INSTRUMENTS_PER_REQUEST = 20
QUOTE_FIELDS = ("price", "volume_24h")
CANDLE_FIELDS = ("open", "high", "low", "close", "volume")
POLICY = "years"  # InfluxDB's documentation recommends shards of a year for years of history

INSERT_CANDLES = f"""
INSERT INTO candles (instrument_id, resolution, opened_at, open, high, low, close, volume, source)
SELECT i, CAST(%(resolution)s AS candle_resolution), %(start)s + n * interval '1 minute', opening / scale,
       (greatest(opening, closing) + 3) / scale, (least(opening, closing) - 2) / scale, closing / scale, volume,
       'exchange'
FROM (
  SELECT i, n, {TICKS.replace("%", "%%")} AS opening,
         {TICKS.replace("%", "%%").replace("n *", "(n + %(width)s) *")} AS closing,
         power(10::float8, i %% 5) AS scale, {SCATTERED.replace("%", "%%")} / 100::float8 AS volume
  FROM generate_series(%(first)s::bigint, %(last)s::bigint - 1, %(width)s) n, generate_series(1, {INSTRUMENTS}) i
  ORDER BY n, i
) made
"""
# These touch every shard of the copy.
QUOTE_A_DAY = "prices WHERE instrument_id = 1 AND CAST(observed_at AT TIME ZONE 'UTC' AS time) = '00:00'"
CANDLE_A_DAY = "candles WHERE instrument_id = 1 AND resolution = '1d'"

MINUTES_BACK = 7 * DAY_MINUTES
INSERT_MINUTES = """
INSERT INTO candles (instrument_id, resolution, opened_at, open, high, low, close, samples, source)
SELECT instrument_id, '1m', observed_at, price, price, price, price, 1, 'quotes' FROM prices
WHERE observed_at >= %s ORDER BY observed_at, instrument_id
"""


def fill(database: Database, rows: int) -> None:
    """Insert ``rows`` prices, and the candles."""
    fill_prices(database, rows)
    for resolution in FIRST_MINUTE:
        run_all(lambda span, of=resolution: _insert(database, of, *span), _spans(resolution), f"spans of {resolution}")  # type: ignore[misc]
    with database.admin() as connection:
        connection.execute(INSERT_MINUTES, [moment(NOW_MINUTE - MINUTES_BACK)])
    settle(database)


def copy_to_victoria(database: Database, server: VictoriaMetrics, rows: int) -> None:
    """Store each value as a sample, with a series per instrument and field."""
    _copy(database, rows, _victoria_lines("quote", QUOTE_FIELDS), server.load)
    candles = _victoria_lines("candle", CANDLE_FIELDS, "resolution")
    _copy_candles(database, candles, server.load)
    server.settle()


def copy_to_influx(database: Database, server: InfluxDB, rows: int) -> None:
    """Store quotes and candles as one measurement each."""
    quotes = _influx_lines("quotes", QUOTE_FIELDS)
    candles = _influx_lines("candles", CANDLE_FIELDS, "resolution")
    server.query(f"CREATE RETENTION POLICY {POLICY} ON coinwatch DURATION INF REPLICATION 1 SHARD DURATION 52w", "POST")
    _copy(database, rows, quotes, server.load)
    _copy_candles(database, candles, lambda bodies: server.load(bodies, POLICY))
    server.settle({"autogen": _points(database, QUOTE_A_DAY, quotes), POLICY: _points(database, CANDLE_A_DAY, candles)})


def _insert(database: Database, resolution: Resolution, first: int, last: int) -> None:
    given = {"resolution": resolution, "start": START, "width": WIDTH_MINUTES[resolution], "first": first, "last": last}
    with database.admin() as connection:
        connection.execute(INSERT_CANDLES, given)


def _spans(resolution: Resolution) -> list[tuple[int, int]]:
    """Ranges of ten days for hours and thirty for days: few cross the months by which VictoriaMetrics partitions."""
    width = WIDTH_MINUTES[resolution]
    length = (10 if resolution == "1h" else 30) * DAY_MINUTES
    first = -(-FIRST_MINUTE[resolution] // width) * width
    last = NOW_MINUTE // width * width
    return [(begin, min(begin + length, last)) for begin in range(first, last, length)]


def _copy(database: Database, rows: int, columns: str, load: Callable[[Iterator[bytes]], None]) -> None:
    statement = _lists(columns, "prices", "observed_at")
    run_all(
        lambda day: load(_bodies(database, statement, {"begin": moment(day[0]), "end": moment(day[1])})),
        days_of(first_minute(rows), NOW_MINUTE),
        "days copied",
    )


def _copy_candles(database: Database, columns: str, load: Callable[[Iterator[bytes]], None]) -> None:
    statement = _lists(columns, "candles", "opened_at", "AND resolution = CAST(%(resolution)s AS candle_resolution)")
    for resolution in FIRST_MINUTE:
        given = {"resolution": resolution}
        run_all(
            lambda span, given=given: load(  # type: ignore[misc]
                _bodies(database, statement, given | {"begin": moment(span[0]), "end": moment(span[1])})
            ),
            _spans(resolution),
            f"spans of {resolution} copied",
        )


def _bodies(database: Database, statement: str, parameters: Mapping[str, object]) -> Iterator[bytes]:
    with database.admin() as connection, connection.cursor() as cursor:
        cursor.execute("SET work_mem = '256MB'")
        cursor.execute(statement, parameters)
        while lines := cursor.fetchmany(INSTRUMENTS_PER_REQUEST):
            yield "\n".join(str(line[0]) for line in lines).encode()


def _points(database: Database, source: str, columns: str) -> bytes:
    time = "observed_at" if source == QUOTE_A_DAY else "opened_at"
    statement = f"""
        SELECT {columns} FROM (SELECT *, CAST(date_part('epoch', {time}) AS bigint) AS seconds FROM {source}) listed
        GROUP BY instrument_id
    """
    return b"".join(_bodies(database, statement, {}))


def _lists(columns: str, table: str, time: str, which: str = "") -> str:
    """A query that returns the lines of each instrument, in order of time."""
    return f"""
        SELECT {columns} FROM (
          SELECT *, CAST(date_part('epoch', {time}) AS bigint) AS seconds FROM {table}
          WHERE {time} >= %(begin)s AND {time} < %(end)s {which} ORDER BY instrument_id, {time}
        ) ordered GROUP BY instrument_id
    """


def _victoria_lines(kind: str, fields: Iterable[str], label: str | None = None) -> str:
    """JSON lines: a line per field."""
    labels = """ || instrument_id || '"'""" + (f""" || ',"{label}":"' || min({label}) || '"'""" if label else "")
    lines = [
        f"""'{{"metric":{{"__name__":"{kind}_{field}","instrument":"'{labels} || '}},"values":[' ||"""
        f" string_agg(CAST({field} AS text), ',') || '],\"timestamps\":[' ||"
        " string_agg(seconds || '000', ',') || ']}'"
        for field in fields
    ]
    return f"concat_ws(E'\\n', {', '.join(lines)})"


def _influx_lines(kind: str, fields: Iterable[str], label: str | None = None) -> str:
    """Line protocol: a line per moment."""
    values = " || ',' || ".join(f"'{field}=' || {field}" for field in fields)
    tag = f" || ',{label}=' || {label}" if label else ""
    return f"string_agg('{kind},instrument=' || instrument_id{tag} || ' ' || {values} || ' ' || seconds, E'\\n')"
