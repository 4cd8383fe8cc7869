"""The committed dashboard is up to date, valid, and every panel is documented."""

import copy
import json
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from coinwatch.prices.backfill.gaps import gap_tolerances
from coinwatch.settings import load_settings
from grafana.copy_dashboards import copy_dashboards
from grafana.generate import find_problems
from local.configuration import make_configuration
from local.environment_file import ensure_secrets, read_environment
from local.grafana import grafana_environment, prepare_grafana
from local.paths import Paths
from tests.integration.grafana.dashboard import DASHBOARD, GRAFANA, PANELS, PROJECT, VARIABLES, column_units
from tests.support.commands import unknown_commands

pytestmark = pytest.mark.filterwarnings("ignore:Prefer using dashboardv2:DeprecationWarning")

# Ids from @grafana/data 13. Grafana shows unknown units as a suffix.
UNITS = {"bytes", "locale", "percent", "s", "ms", "short", "string", "dateTimeFromNow", "dateTimeAsLocal"}
BUILT_IN = {"__interval", "__from", "__to"}


def test_committed_dashboard_is_up_to_date() -> None:
    check = subprocess.run(
        [sys.executable, "-m", "grafana.generate", "--check"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, check.stdout + check.stderr


def test_dashboard_uses_the_classic_format() -> None:
    assert DASHBOARD["schemaVersion"] == 42
    assert DASHBOARD["uid"] == "coinwatch"
    assert not any(field.startswith("auto") for variable in VARIABLES.values() for field in variable)
    assert not any("footer" in panel["options"] for panel in PANELS)


def test_default_time_range_and_refresh() -> None:
    assert DASHBOARD["timezone"] == "browser"
    assert DASHBOARD["refresh"] == "30s"
    assert DASHBOARD["time"] == {"from": "now-6h", "to": "now"}


def test_panel_ids_are_unique() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids)) > 20


def test_panels_fit_the_grid_without_overlap() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        for cell in (
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ):
            assert cell not in taken, f"{panel['title']} overlaps {taken[cell]}"
            taken[cell] = panel["title"]


def test_every_panel_has_a_description_and_advice() -> None:
    assert find_problems(DASHBOARD) == []


def test_commands_in_descriptions_exist() -> None:
    assert [command for panel in PANELS for command in unknown_commands(panel["description"])] == []


def test_every_unit_is_known_to_grafana() -> None:
    used = {panel["fieldConfig"]["defaults"]["unit"] for panel in PANELS}
    used |= {unit for panel in PANELS for unit in column_units(panel).values()}
    assert used <= UNITS


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"title": " "}, "no title"),
        ({"description": ""}, "what it shows"),
        ({"description": "Prices over time."}, "if it looks wrong"),
        ({"fieldConfig": {"defaults": {}}}, "no unit"),
    ],
)
def test_generator_rejects_an_incomplete_panel(change: dict[str, object], complaint: str) -> None:
    dashboard = copy.deepcopy(DASHBOARD)
    dashboard["panels"][1].update(change)
    assert any(complaint in problem for problem in find_problems(dashboard))


def test_data_sources_are_provisioned() -> None:
    provisioned = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "coinwatch.yaml").read_text())
    known = {(source["type"], source["uid"]) for source in provisioned["datasources"]}
    used = [panel["datasource"] for panel in PANELS]
    used += [target["datasource"] for panel in PANELS for target in panel["targets"]]
    used += [variable["datasource"] for variable in VARIABLES.values() if "datasource" in variable]
    assert {(source["type"], source["uid"]) for source in used} == known


def test_every_variable_is_defined_and_used() -> None:
    text = json.dumps(DASHBOARD, ensure_ascii=False)
    used = set(re.findall(r"\$\{?(\w+)", text)) - BUILT_IN
    used = {name for name in used if not name.startswith("__")}
    assert used == VARIABLES.keys()


def test_variable_uses_only_earlier_variables() -> None:
    known: set[str] = set()
    for name, variable in VARIABLES.items():
        assert set(re.findall(r"\$\{(\w+)", variable["query"])) <= known
        known.add(name)


def test_gaps_are_not_bridged() -> None:
    for panel in PANELS:
        if panel["type"] == "timeseries":
            assert panel["fieldConfig"]["defaults"]["custom"].get("spanNulls", False) is not True, panel["title"]


def test_price_line_breaks_where_a_gap_is_recorded() -> None:
    [prices] = [panel for panel in PANELS if panel.get("title") == "Price of ${coin}"]
    bridged = timedelta(milliseconds=prices["fieldConfig"]["defaults"]["custom"]["spanNulls"])
    assert bridged == max(gap_tolerances(load_settings()).values())


def test_graphite_stat_panels_show_recent_values_only() -> None:
    numbers = [panel for panel in PANELS if panel["type"] == "stat" and panel["datasource"]["type"] == "graphite"]
    assert numbers
    assert {panel["timeFrom"] for panel in numbers} == {"5m"}


def test_links_lead_to_the_dag_and_the_web_app() -> None:
    assert [link["url"] for link in DASHBOARD["links"]] == ["${airflow_url}/dags/collect_prices", "${web_url}/"]


def test_customized_copy_differs_only_in_its_addresses(tmp_path: Path) -> None:
    copy_dashboards(
        tmp_path / "dashboards", {"airflow_url": "http://localhost:9/", "web_url": "https://prices.example"}
    )
    copied = json.loads((tmp_path / "dashboards" / "coinwatch.json").read_text())
    constants = {v["name"]: v for v in copied["templating"]["list"]}
    assert constants["airflow_url"]["query"] == "http://localhost:9"
    assert constants["web_url"]["query"] == "https://prices.example"
    for name in ("airflow_url", "web_url"):
        constants[name]["query"] = VARIABLES[name]["query"]
    assert copied == DASHBOARD


@pytest.mark.parametrize("addresses", [{"web_url": "javascript:alert(1)"}, {"elsewhere": "http://localhost"}])
def test_customized_copy_with_an_invalid_address_is_rejected(tmp_path: Path, addresses: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"must start with|no constant"):
        copy_dashboards(tmp_path, addresses)


def test_grafana_disables_sign_up_and_telemetry() -> None:
    lines = {line.strip() for line in (GRAFANA / "grafana.ini").read_text().splitlines()}
    assert {"allow_sign_up = false", "reporting_enabled = false", "check_for_updates = false"} <= lines
    assert "admin_password = $__env{COINWATCH_GRAFANA_ADMIN_PASSWORD}" in lines
    assert "secret_key = $__env{COINWATCH_GRAFANA_SECRET_KEY}" in lines
    anonymous = (GRAFANA / "grafana.ini").read_text().partition("[auth.anonymous]")[2].split("[")[0]
    assert "enabled = false" in anonymous


def test_provisioning_variables_are_documented() -> None:
    for path in (GRAFANA / "provisioning").rglob("*.yaml"):
        text = path.read_text()
        comment = "\n".join(line for line in text.splitlines() if line.startswith("#"))
        used = set(re.findall(r"\$\{(\w+)\}", text))
        assert used, path
        assert all(name in comment for name in used), path


def test_local_run_sets_every_provisioning_variable(tmp_path: Path) -> None:
    paths = Paths(PROJECT, tmp_path, tmp_path / ".env")
    configuration = make_configuration(paths, ensure_secrets(read_environment(paths.env_file, {})))
    prepare_grafana(configuration)
    given = grafana_environment(configuration)
    for path in GRAFANA.rglob("*.*"):
        if path.suffix in {".yaml", ".ini"}:
            needed = set(re.findall(r"\$(?:__env)?\{(\w+)\}", path.read_text()))
            assert {name for name in needed if not given.get(name)} == set(), path
    assert (Path(given["COINWATCH_DASHBOARDS"]) / "coinwatch.json").is_file()
    assert given["COINWATCH_DATABASE_READER_HOST"] == "127.0.0.1:15432"
    assert given["COINWATCH_DATABASE_READER_USER"] == "coinwatch_reader"
