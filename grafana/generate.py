"""Writes dashboards/coinwatch.json from dashboard.py.

python -m grafana.generate            write the file
python -m grafana.generate --check    exit with code 1 if the file is outdated
"""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent / "dashboards" / "coinwatch.json"


class IncompletePanel(Exception):
    """A panel lacks a title, unit, description or advice; the message names them."""


def generate() -> str:
    """The dashboard as JSON text. Raises IncompletePanel."""
    with warnings.catch_warnings():
        # The SDK recommends v2 dashboards; Grafana rejects those in provisioned files.
        warnings.filterwarnings("ignore", message="Prefer using dashboardv2", category=DeprecationWarning)
        from grafana_foundation_sdk.cog.encoder import JSONEncoder

        from grafana.dashboard import make_dashboard

        dashboard = json.loads(JSONEncoder().encode(make_dashboard().build()))
    complete(dashboard)
    problems = find_problems(dashboard)
    if problems:
        raise IncompletePanel("\n".join(problems))
    return json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n"


def complete(dashboard: dict[str, Any]) -> None:
    """Assign panel ids, and remove fields that the SDK writes but Grafana's classic format does not have."""
    for number, panel in enumerate(dashboard["panels"], start=1):
        panel["id"] = number
        if panel["type"] == "table":
            panel["options"].pop("footer", None)
    for link in dashboard["links"]:
        link.pop("placement", None)  # the SDK's value hides links in a menu
    for variable in dashboard["templating"]["list"]:
        for field in ("auto", "auto_min", "auto_count"):
            variable.pop(field, None)
        if variable["type"] == "constant":
            variable.update(hide=2, skipUrlSync=True)


def find_problems(dashboard: dict[str, Any]) -> list[str]:
    """A line for each panel without title, unit, description, or advice in the description."""
    from grafana.panels import ADVICE

    problems = []
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            continue
        name = panel.get("title") or f"panel {panel.get('id')}"
        shows, _, advice = panel.get("description", "").partition(ADVICE)
        if not panel.get("title", "").strip():
            problems.append(f"{name}: has no title.")
        if not shows.strip():
            problems.append(f"{name}: the description does not say what it shows.")
        if not advice.strip():
            problems.append(f"{name}: the description does not say what to do if it looks wrong.")
        if not panel.get("fieldConfig", {}).get("defaults", {}).get("unit"):
            problems.append(f"{name}: has no unit.")
    return problems


def main(arguments: list[str]) -> int:
    text = generate()
    if arguments == ["--check"]:
        same = TARGET.is_file() and TARGET.read_text() == text
        print("up to date" if same else f"{TARGET} is outdated. Run: python -m grafana.generate")
        return 0 if same else 1
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
