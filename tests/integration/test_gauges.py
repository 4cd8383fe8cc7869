"""Gauges reach Graphite through StatsD."""

import re
import socket
from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from coinwatch.gauges import NAMES, escape, send_gauges, send_price_gauges
from coinwatch.pipeline import push_gauges
from coinwatch.prices.ingest.collection import CollectResult
from coinwatch.prices.ingest.data_quality import CHECKS
from coinwatch.settings import Settings
from tests.support.graphite import GraphiteServer
from tests.support.ports import free_port
from tests.support.quotes import at, load, quote
from tests.support.settings import make_settings


@pytest.fixture
def settings(graphite: GraphiteServer) -> Iterator[Settings]:
    return make_settings(statsd_port=graphite.statsd_port)


def test_graphite_receives_the_prices_in_the_database(
    catalog: sa.Engine, settings: Settings, graphite: GraphiteServer
) -> None:
    load(catalog, quote(68923.67, 0, bid=68923.0, ask=68924.5, volume_24h=1234.5), quote(1.5e-8, 0, pair="ETH/USD"))
    assert send_price_gauges(catalog, settings, at(0.5)) == 6
    path = "stats.gauges.coinwatch.prices.kraken"
    latest = {name: values[-1] for name, values in graphite.wait_for(f"{path}.*.usd.*", series=6).items()}
    assert latest == {
        f"{path}.btc.usd.price": 68923.67,
        f"{path}.btc.usd.volume_24h": 1234.5,
        f"{path}.btc.usd.spread": 1.5,
        f"{path}.btc.usd.age_seconds": 30.0,
        f"{path}.eth.usd.price": 1.5e-8,
        f"{path}.eth.usd.age_seconds": 30.0,
    }


def test_old_price_is_not_sent_again(catalog: sa.Engine, settings: Settings) -> None:
    load(catalog, quote(100.0, 0))
    stale = at(0) + timedelta(seconds=settings.quote_gauge_max_age_seconds + 1)
    assert send_price_gauges(catalog, settings, stale) == 1, "only its age"


def test_burst_of_a_thousand_gauges_arrives(settings: Settings, graphite: GraphiteServer) -> None:
    assert send_gauges(settings, {f"burst.number_{number}": number for number in range(1000)})
    arrived = graphite.wait_for("stats.gauges.coinwatch.burst.*", series=1000)
    assert sorted(values[-1] for values in arrived.values()) == list(range(1000))


@pytest.mark.parametrize("host", ["::1", "[::1]", "127.0.0.1", "localhost"])
@pytest.mark.parametrize("family", [socket.AF_INET6, socket.AF_INET])
def test_gauges_reach_statsd_over_either_version_of_ip(host: str, family: socket.AddressFamily) -> None:
    address = "::1" if family == socket.AF_INET6 else "127.0.0.1"
    with socket.create_server((address, 0), family=family) as server:
        settings = make_settings(statsd_host=host, statsd_port=server.getsockname()[1])
        reachable = address in {str(known[4][0]) for known in socket.getaddrinfo(host.strip("[]"), None)}
        assert send_gauges(settings, {"cycle.rows": 7}) is reachable
        if reachable:
            connection, _ = server.accept()
            with connection:
                assert connection.recv(100) == b"coinwatch.cycle.rows:7.0|g\n"


@pytest.mark.parametrize("host", ["", "host:8125/x", "a b", "http://host"])
def test_invalid_statsd_host_is_rejected(host: str) -> None:
    with pytest.raises(ValidationError, match="must be a host name"):
        make_settings(statsd_host=host)


def test_unavailable_statsd_does_not_fail_the_cycle(catalog: sa.Engine) -> None:
    unavailable = make_settings(statsd_port=free_port())
    load(catalog, quote(100.0, 0))
    assert send_gauges(unavailable, {"cycle.rows": 1}) is False
    assert push_gauges(catalog, unavailable, [CollectResult("kraken", quotes=1)], 1, at(1)) > 0


@pytest.mark.parametrize(
    ("part", "escaped"),
    [
        ("BTC", "btc"),
        ("1INCH", "1inch"),
        ("a.b:c|d@e f/g\nh", "a_b_c_d_e_f_g_h"),
        ("münze", "m_nze"),
        ("USD-T_1", "usd-t_1"),
    ],
)
def test_codes_are_escaped_to_one_name_component(part: str, escaped: str) -> None:
    assert escape(part) == escaped


def test_gap_gauges_count_open_gaps_and_minutes_missing_in_the_last_day(
    catalog: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from coinwatch import gauges

    sent: dict[str, float] = {}
    monkeypatch.setattr(gauges, "send_gauges", lambda _, values: sent.update(values))
    gaps = [
        (-1500, -1410, "unavailable"),  # its last half hour is within the day
        (-100, -70, "open"),
        (-50, -40, "repaired"),
        (-3000, -2900, "open"),
    ]
    insert = """
      INSERT INTO gaps (instrument_id, day, started_at, ended_at, status, detected_at)
      SELECT i.id, CAST(:start AS date), :start, :end, :status, :end
      FROM instruments i JOIN exchanges e ON e.id = i.exchange_id WHERE e.code = 'kraken' AND i.base = 'BTC'
    """
    with catalog.begin() as connection:
        rows = [{"start": at(first), "end": at(last), "status": status} for first, last, status in gaps]
        connection.execute(sa.text(insert), rows)
    assert gauges.send_gap_gauges(catalog, make_settings(), at(0)) == 10, "two for each exchange and the index"
    assert (sent["gaps.kraken.open"], sent["gaps.kraken.missing_minutes"]) == (2, 60)
    assert (sent["gaps.binance.open"], sent["gaps.index.missing_minutes"]) == (0, 0)


def test_every_sent_gauge_is_documented(catalog: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from coinwatch import gauges, pipeline

    sent: set[str] = set()

    def remember(_: Settings, values: dict[str, float]) -> bool:
        sent.update(values)
        return True

    monkeypatch.setattr(gauges, "send_gauges", remember)
    monkeypatch.setattr(pipeline, "send_gauges", remember)
    load(catalog, quote(100.0, 0, bid=1.0, ask=2.0, volume_24h=3.0))
    offline = make_settings(alerts_file="/dev/null")
    pipeline.push_gauges(catalog, offline, [CollectResult("kraken", quotes=1)], 1, at(1))
    pipeline.evaluate_and_notify(catalog, make_settings(alerts_file="/dev/null/no"), at(1))
    pipeline.deliver_and_report(catalog, offline)
    for check in CHECKS:
        pipeline.check_data(catalog, offline, check, at(1))
    shapes = {name.replace("kraken", "{exchange}").replace("btc.usd", "{base}.{quote}") for name in sent}
    shapes = {re.sub(r"(?<=^database\.)\w+(?=\.)", "{table}", name) for name in shapes}
    shapes = {re.sub(r"(?<=^quality\.)\w+", "{check}", name) for name in shapes}
    shapes = {re.sub(r"(?<=^cycle\.alerts\.)\w+", "{kind}", name) for name in shapes}
    others = {name for name in shapes if name.startswith(("exchanges.", "gaps.")) and "{exchange}" not in name}
    assert shapes - others == set(NAMES)
