"""Panel types: chart, table, number. Each has a description and advice for when it looks wrong."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from grafana_foundation_sdk.builders import common as build
from grafana_foundation_sdk.builders import dashboard, stat, table, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    DataSourceRef,
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    LineInterpolation,
    SortOrder,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue, Threshold, ThresholdsMode

POSTGRES = DataSourceRef(type_val="grafana-postgresql-datasource", uid="coinwatch-postgres")
GRAPHITE = DataSourceRef(type_val="graphite", uid="coinwatch-graphite")
FOLDER = Path(__file__).parent
ADVICE = "**If it looks wrong:** "

# Prices have up to 15 significant digits: group thousands, and keep all digits of small prices.
NUMBER, DIGITS = "locale", 8
# Lines break where a gap is recorded for the exchange that is fetched least often (CoinGecko, see docs/gaps.md).
BRIDGED_GAP_MILLISECONDS = 15 * 60 * 1000


@dataclass(frozen=True)
class PanelText:
    """A panel's title, description, and advice for when it looks wrong."""

    title: str
    shows: str
    when_wrong: str

    @property
    def description(self) -> str:
        return f"{self.shows}\n\n{ADVICE}{self.when_wrong}"


def about(name: str) -> PanelText:
    """The texts in table ``name`` of texts.toml, each joined to one line."""
    return PanelText(**{field: " ".join(text.split()) for field, text in _texts()[name].items()})


@cache
def _texts() -> dict[str, dict[str, str]]:
    return tomllib.loads((FOLDER / "texts.toml").read_text())


@dataclass(frozen=True)
class Query(Builder[Dataquery], Dataquery):
    """One target of a panel. The SDK has no builders for PostgreSQL and Graphite queries."""

    source: DataSourceRef
    fields: dict[str, object]

    def build(self) -> Dataquery:
        return self

    def to_json(self) -> dict[str, object]:
        return {"datasource": self.source, **self.fields}


def sql(name: str, *, series: bool = False) -> Query:
    """The statement in ``queries/<name>.sql``; ``series``: as a time series (columns time, metric, value)."""
    fields = {"format": "time_series" if series else "table", "editorMode": "code", "rawQuery": True}
    return Query(POSTGRES, {"refId": "A", **fields, "rawSql": statement(name)})


def statement(name: str) -> str:
    """The text of ``queries/<name>.sql`` without comments."""
    lines = (FOLDER / "queries" / f"{name}.sql").read_text().splitlines()
    return "\n".join(line for line in lines if not line.startswith("--"))


def graphite(*targets: str) -> list[Query]:
    """One query per Graphite target expression."""
    return [
        Query(GRAPHITE, {"refId": chr(ord("A") + number), "target": target, "textEditor": True})
        for number, target in enumerate(targets)
    ]


def chart(texts: PanelText, queries: Sequence[Query], *, unit: str, span: int = 12, axis: str = "") -> timeseries.Panel:
    """Lines over time, with gaps where there is no data."""
    panel = (
        timeseries.Panel()
        .title(texts.title)
        .description(texts.description)
        .datasource(queries[0].source)
        .unit(unit)
        .span(span)
        .height(9)
        .line_width(1)
        .fill_opacity(0)
        .span_nulls(False)
        .show_points(VisibilityMode.AUTO)
        .axis_label(axis)
        .tooltip(build.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
        .legend(
            build.VizLegendOptions()
            .show_legend(True)
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
        )
    )
    if queries[0].source is POSTGRES:
        panel = panel.span_nulls(BRIDGED_GAP_MILLISECONDS).interval("1m")
    for query in queries:
        panel = panel.with_target(query)
    return panel


def steps(texts: PanelText, queries: Sequence[Query], *, unit: str, span: int = 8) -> timeseries.Panel:
    """A gauge over time: constant until the next cycle; ends when the pipeline stops."""
    return chart(texts, queries, unit=unit, span=span).line_interpolation(LineInterpolation.STEP_AFTER).min(0)


def bars(texts: PanelText, queries: Sequence[Query], *, unit: str, span: int = 8) -> timeseries.Panel:
    """Counts per interval; no bar means zero."""
    return chart(texts, queries, unit=unit, span=span).draw_style(GraphDrawStyle.BARS).fill_opacity(60).min(0)


def dots(texts: PanelText, queries: Sequence[Query], *, unit: str, span: int = 8) -> timeseries.Panel:
    """Single events with a value, such as runs and their durations."""
    return chart(texts, queries, unit=unit, span=span).draw_style(GraphDrawStyle.POINTS).point_size(6).min(0)


def number(
    texts: PanelText,
    queries: Sequence[Query],
    *,
    unit: str,
    span: int = 4,
    warn: float | None = None,
    all_rows: bool = False,
) -> stat.Panel:
    """The latest value, green below ``warn`` and red from there; ``all_rows`` shows one value per row.

    Graphite panels show values of the last five minutes only: older ones are not the current state.
    """
    limits = [Threshold(value=None, color="green")] + ([] if warn is None else [Threshold(value=warn, color="red")])
    panel = (
        stat.Panel()
        .title(texts.title)
        .description(texts.description)
        .datasource(queries[0].source)
        .unit(unit)
        .span(span)
        .height(5)
        .no_value("no data")
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.NONE)
        .reduce_options(build.ReduceDataOptions().values(all_rows).calcs(["lastNotNull"]))
        .thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(limits))
    )
    if queries[0].source is GRAPHITE:
        panel = panel.time_from("5m").hide_time_override(True)
    for query in queries:
        panel = panel.with_target(query)
    return panel


def rows(
    texts: PanelText, query: Query, *, units: dict[str, tuple[str, int | None]], span: int = 24, height: int = 10
) -> table.Panel:
    """A table. ``units``: unit and maximum decimals of each column with numbers or timestamps."""
    panel = (
        table.Panel()
        .title(texts.title)
        .description(texts.description)
        .datasource(query.source)
        .unit("string")
        .span(span)
        .height(height)
        .no_value("-")
        .with_target(query)
    )
    for column, (unit, decimals) in units.items():
        properties = [DynamicConfigValue(id_val="unit", value=unit)]
        if decimals is not None:
            properties.append(DynamicConfigValue(id_val="decimals", value=decimals))
        panel = panel.override_by_name(column, properties)
    return panel
