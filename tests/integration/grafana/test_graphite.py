"""Every Graphite target of the dashboard matches what the code and Airflow really send."""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from statsd import TCPStatsClient

from coinwatch import gauges
from coinwatch.settings import load_settings
from tests.integration.grafana.dashboard import PANELS, graphite_targets, metrics
from tests.support.graphite import GraphiteServer, graphite_server

OURS = "stats.gauges.coinwatch."
FROM_AIRFLOW = {"stats.gauges.airflow.": "gauge", "stats.timers.airflow.": "timer", "stats_counts.airflow.": "counter"}
# The dashboard reads these from Postgres; the gauges are for users' own dashboards.
FROM_POSTGRES = {"prices.{exchange}.{base}.{quote}.volume_24h", "prices.{exchange}.{base}.{quote}.spread"}


def airflow_metrics() -> dict[str, str]:
    """Airflow's own list of metrics: name (with {variables}) to type."""
    package = find_spec("airflow")
    assert package is not None, "Airflow is not installed. Run: uv sync --extra airflow --group dev"
    assert package.origin is not None
    path = Path(package.origin).parent / "_shared" / "observability" / "metrics" / "metrics_template.yaml"
    entries: list[dict[str, Any]] = yaml.safe_load(path.read_text())["metrics"]
    names = {entry["name"]: entry["type"] for entry in entries}
    return names | {entry["legacy_name"]: entry["type"] for entry in entries if entry["legacy_name"] != "-"}


def template_of(name: str, templates: set[str]) -> str | None:
    """The template of a metric name; ``*`` matches variables only, never a literal word."""
    for template in sorted(templates):
        parts = (r"[\w-]+|\*" if part.startswith("{") else re.escape(part) for part in template.split("."))
        if re.fullmatch(r"\.".join(f"(?:{part})" for part in parts), name):
            return template
    return None


def our_metrics() -> list[str]:
    return sorted(name.removeprefix(OURS) for name in metrics() if name.startswith(OURS))


def airflow_names() -> list[tuple[str, str]]:
    """The name without Graphite's prefix and suffix, and the type implied by the prefix, of each Airflow metric."""
    found = []
    for name in sorted(metrics()):
        for prefix, kind in FROM_AIRFLOW.items():
            if name.startswith(prefix):
                bare = name.removeprefix(prefix)
                found.append((bare.removesuffix(".upper") if kind == "timer" else bare, kind))
    return found


@pytest.fixture(scope="module")
def graphite() -> Iterator[GraphiteServer]:
    """Graphite after two exchanges, one cycle and Airflow have sent all their metrics."""
    with graphite_server() as server:
        values = {
            name.format(
                exchange=exchange, base="btc", quote="usd", table="prices", check="stale", kind="crosses"
            ): float(number)
            for exchange in ("index", "kraken")
            for number, name in enumerate(gauges.NAMES, start=1)
        }
        assert gauges.send_gauges(load_settings(statsd_port=server.statsd_port), values)
        client = TCPStatsClient("127.0.0.1", server.statsd_port, prefix="airflow")
        send = {"gauge": client.gauge, "timer": client.timing, "counter": client.incr}
        types = airflow_metrics()
        for name, _ in airflow_names():
            template = template_of(name, set(types))
            if template is None:
                continue  # reported by a separate test
            send[types[template]](name.replace("*", "fetch_prices"), 7)
        client.close()
        server.wait_for("stats_counts.airflow.ti_successes")
        for path in ("prices.*.btc.usd.price", "exchanges.*.fetch_seconds"):
            server.wait_for(f"stats.gauges.coinwatch.{path}", series=2)
        yield server


def test_metrics_come_only_from_coinwatch_or_airflow() -> None:
    assert len(our_metrics()) + len(airflow_names()) == len(metrics()) > 20


@pytest.mark.parametrize("name", our_metrics())
def test_every_gauge_on_the_dashboard_is_sent(name: str) -> None:
    assert template_of(name, set(gauges.NAMES)) is not None


def test_every_sent_gauge_is_on_the_dashboard() -> None:
    shown = {template_of(name, set(gauges.NAMES)) for name in our_metrics()}
    assert shown == gauges.NAMES.keys() - FROM_POSTGRES


@pytest.mark.parametrize(("name", "kind"), airflow_names())
def test_every_airflow_metric_on_the_dashboard_is_sent(name: str, kind: str) -> None:
    types = airflow_metrics()
    template = template_of(name, set(types))
    assert template is not None
    assert types[template] == kind


@pytest.mark.parametrize("target", graphite_targets())
def test_target_has_points(graphite: GraphiteServer, target: str) -> None:
    assert graphite.wait_for(target)


@pytest.mark.parametrize("panel", [p for p in PANELS if p["type"] == "timeseries"], ids=lambda panel: panel["title"])
def test_chart_legends_are_readable(graphite: GraphiteServer, panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        if "target" in target:
            assert not [name for name in graphite.values(target["target"]) if {".", "("} & set(name)]


def test_fetch_duration_has_a_series_per_exchange(graphite: GraphiteServer) -> None:
    target = next(t for t in graphite_targets() if "fetch_seconds" in t)
    assert graphite.values(target).keys() == {"index", "kraken"}


def test_live_pairs_are_counted(graphite: GraphiteServer) -> None:
    target = next(t for t in graphite_targets() if "sumSeries" in t)
    assert set(graphite.values(target)["pairs"]) == {2.0}


def test_unknown_metric_has_no_values(graphite: GraphiteServer) -> None:
    assert graphite.values("stats.gauges.coinwatch.cycle.nothing") == {}
