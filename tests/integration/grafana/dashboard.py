"""The committed dashboard, parsed for the tests."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[3]
GRAFANA = PROJECT / "grafana"
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "coinwatch.json").read_text())
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
VARIABLES: dict[str, dict[str, Any]] = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}

# A metric name inside a target: letters, digits and wildcards, at least one dot.
METRIC = re.compile(r"stats(?:_counts|\.gauges|\.timers)\.[\w.*-]+")


@dataclass(frozen=True)
class SqlQuery:
    panel: dict[str, Any]
    sql: str
    is_series: bool

    def __str__(self) -> str:
        return str(self.panel["title"])


def sql_queries() -> list[SqlQuery]:
    return [
        SqlQuery(panel, target["rawSql"], target["format"] == "time_series")
        for panel in PANELS
        for target in panel["targets"]
        if "rawSql" in target
    ]


def graphite_targets() -> list[str]:
    return [target["target"] for panel in PANELS for target in panel["targets"] if "target" in target]


def metrics() -> set[str]:
    """All metric names in targets, with wildcards."""
    return {name for target in graphite_targets() for name in METRIC.findall(target)}


def column_units(panel: dict[str, Any]) -> dict[str, str]:
    """The unit of each table column that has its own."""
    return {
        override["matcher"]["options"]: entry["value"]
        for override in panel["fieldConfig"]["overrides"]
        for entry in override["properties"]
        if entry["id"] == "unit"
    }
