"""Five queries, written for each database as its users would. Results are compared before anything is measured.

``run`` is measured: from the call to Python objects, which are coinwatch's own or, for the competitors, the lists and
dictionaries parsed from JSON. ``plain`` converts either to the same form.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from benchmarks.reads.stored import CANDLE_FIELDS, POLICY
from benchmarks.shared.history import NOW
from benchmarks.shared.influx import InfluxDB
from benchmarks.shared.market import EXCHANGE
from benchmarks.shared.victoria import VictoriaMetrics
from coinwatch.prices.candles.series import read_candles
from coinwatch.prices.history.latest import read_latest_prices
from coinwatch.prices.history.movers import read_movers
from coinwatch.prices.history.series import read_series

TOP = 10
LATEST, DAY, HOURS, DAYS, MOVERS = (
    "latest price of all instruments",
    "24 hours of prices",
    "1 year of hours",
    "5 years of days",
    "top movers in 24 hours",
)
HOUR, RAW, YEAR, FIVE_YEARS = timedelta(hours=1), timedelta(days=1), timedelta(days=365), timedelta(days=5 * 365)
LAST = NOW - timedelta(minutes=3)  # the time of the newest quotes
COMPARED = NOW - RAW  # coinwatch compares with the last candle that had ended a day before now, here that of an hour


@dataclass(frozen=True)
class Query:
    """``run`` takes the number of an instrument."""

    run: Callable[[int], Any]
    plain: Callable[[Any], Any]


def coinwatch_queries(engine: sa.Engine) -> dict[str, Query]:
    def read(resolution: str, length: timedelta) -> Callable[[int], Any]:
        return lambda i: read_candles(
            engine, f"C{i}", EXCHANGE, "USD", resolution=resolution, start=NOW - length, end=NOW, now=NOW
        )

    def plain_candles(found: Any) -> Any:
        return [
            (_ms(candle.opened_at), *(getattr(candle, field) for field in CANDLE_FIELDS)) for candle in found.candles
        ]

    return {
        LATEST: Query(
            lambda _: read_latest_prices(engine, NOW, with_change=False),
            lambda found: {int(price.base[1:]): price.price for price in found},
        ),
        DAY: Query(
            lambda i: read_series(engine, f"C{i}", EXCHANGE, "USD", start=NOW - RAW, end=NOW),
            lambda found: [(_ms(point.observed_at), point.price) for point in found.points],
        ),
        HOURS: Query(read("1h", YEAR), plain_candles),
        DAYS: Query(read("1d", FIVE_YEARS), plain_candles),
        MOVERS: Query(
            lambda _: read_movers(engine, RAW, TOP, now=NOW, exchange=EXCHANGE),
            lambda found: sorted((int(each.base[1:]), each.change_percent) for each in found.gainers + found.losers),
        ),
    }


def victoria_queries(server: VictoriaMetrics) -> dict[str, Query]:
    def query(text: str) -> Any:
        return server.get("/api/v1/query", query=text, time=str(LAST.timestamp())).json()["data"]["result"]

    def export(selector: str, length: timedelta) -> list[Any]:
        span = {"start": (NOW - length).timestamp(), "end": NOW.timestamp() - 0.001}
        response = server.get("/api/v1/export", **{"match[]": selector}, **span)
        return [json.loads(line) for line in response.content.splitlines()]

    def read(resolution: str, length: timedelta) -> Callable[[int], Any]:
        def candles(i: int) -> Any:
            names = "|".join(f"candle_{field}" for field in CANDLE_FIELDS)
            found = export(f'{{__name__=~"{names}",instrument="{i}",resolution="{resolution}"}}', length)
            columns = {line["metric"]["__name__"]: line["values"] for line in found}
            return list(
                zip(found[0]["timestamps"], *(columns[f"candle_{field}"] for field in CANDLE_FIELDS), strict=True)
            )

        return candles

    def day(i: int) -> Any:
        (found,) = export(f'quote_price{{instrument="{i}"}}', RAW)
        return list(zip(found["timestamps"], found["values"], strict=True))

    def latest(_: int) -> Any:
        return {int(row["metric"]["instrument"]): float(row["value"][1]) for row in query("quote_price")}

    def top_movers(_: int) -> Any:
        change = f"100 * (quote_price / (quote_price offset {(LAST - COMPARED).total_seconds():.0f}s) - 1)"
        found = query(f"topk({TOP}, {change}) or bottomk({TOP}, {change})")
        return [(int(row["metric"]["instrument"]), float(row["value"][1])) for row in found]

    return {
        LATEST: Query(latest, _same),
        DAY: Query(day, _same),
        HOURS: Query(read("1h", YEAR), _same),
        DAYS: Query(read("1d", FIVE_YEARS), _same),
        MOVERS: Query(top_movers, sorted),
    }


def influx_queries(server: InfluxDB) -> dict[str, Query]:
    def between(length: timedelta) -> str:
        return f"time >= {_ms(NOW - length)}ms AND time < {_ms(NOW)}ms"

    def last_before(moment: datetime) -> dict[int, float]:
        span = f"time > {_ms(moment - HOUR)}ms AND time <= {_ms(moment)}ms"
        found = server.query(f"SELECT last(price) FROM quotes WHERE {span} GROUP BY instrument")
        return {int(each["tags"]["instrument"]): each["values"][0][1] for each in found}  # type: ignore[call-overload, misc]

    def read(resolution: str, length: timedelta) -> Callable[[int], Any]:
        return lambda i: server.query(
            f"SELECT {','.join(CANDLE_FIELDS)} FROM coinwatch.{POLICY}.candles"
            f" WHERE instrument='{i}' AND resolution='{resolution}' AND {between(length)}"
        )[0]["values"]

    def top_movers(_: int) -> Any:
        now, before = last_before(LAST), last_before(COMPARED)
        changes = [(i, 100 * (price / before[i] - 1)) for i, price in now.items() if i in before]
        changes.sort(key=lambda change: -change[1])
        return changes[:TOP] + changes[-TOP:]

    def tuples(found: Any) -> Any:
        return [tuple(row) for row in found]

    return {
        LATEST: Query(lambda _: last_before(LAST), _same),
        DAY: Query(
            lambda i: server.query(f"SELECT price FROM quotes WHERE instrument='{i}' AND {between(RAW)}")[0]["values"],
            tuples,
        ),
        HOURS: Query(read("1h", YEAR), tuples),
        DAYS: Query(read("1d", FIVE_YEARS), tuples),
        MOVERS: Query(top_movers, sorted),
    }


def _same(found: Any) -> Any:
    return found


def _ms(moment: datetime) -> int:
    return round(moment.astimezone(UTC).timestamp() * 1000)
