"""Copies the dashboards for a Grafana whose Airflow and web app have other addresses than the defaults.

    python grafana/copy_dashboards.py TARGET_FOLDER --airflow-url http://localhost:8081 --web-url http://localhost:18001

Grafana expands environment variables in provisioning files but not in dashboards, so links would be broken after a port
is changed. Standard library only. COINWATCH_DASHBOARDS must then name TARGET_FOLDER.
"""

import argparse
import json
from pathlib import Path
from typing import Any

DASHBOARDS = Path(__file__).parent / "dashboards"


def copy_dashboards(target: Path, addresses: dict[str, str]) -> None:
    """Write every dashboard to ``target``, with its constants (``airflow_url``, ``web_url``) set from ``addresses``.

    Raises ValueError for an unknown constant or an address that is not http(s).
    """
    target.mkdir(parents=True, exist_ok=True)
    for source in sorted(DASHBOARDS.glob("*.json")):
        dashboard = json.loads(source.read_text())
        _set_constants(dashboard, addresses)
        (target / source.name).write_text(json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n")


def _set_constants(dashboard: dict[str, Any], addresses: dict[str, str]) -> None:
    constants = {v["name"]: v for v in dashboard["templating"]["list"] if v["type"] == "constant"}
    unknown = addresses.keys() - constants.keys()
    if unknown:
        raise ValueError(f"The dashboard {dashboard['title']!r} has no constant {', '.join(sorted(unknown))}.")
    for name, url in addresses.items():
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{name} is {url!r}; it must start with http:// or https://.")
        constants[name]["query"] = url.rstrip("/")


def main() -> None:
    parser = argparse.ArgumentParser(description="Copy the Grafana dashboards with links to the given addresses.")
    parser.add_argument("target", type=Path)
    parser.add_argument("--airflow-url", required=True)
    parser.add_argument("--web-url", required=True)
    arguments = parser.parse_args()
    copy_dashboards(arguments.target, {"airflow_url": arguments.airflow_url, "web_url": arguments.web_url})


if __name__ == "__main__":
    main()
