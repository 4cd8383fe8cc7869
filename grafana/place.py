"""Copies the boards for a Grafana whose Airflow and web page live at other addresses than the usual local ones.

    python grafana/place.py TARGET_FOLDER --airflow-url http://localhost:8081 --web-url http://localhost:18001

Grafana expands environment variables in provisioning files but not in boards, so the links would lead nowhere as soon
as a port is changed. Needs nothing but Python. TARGET_FOLDER is then what COINWATCH_DASHBOARDS names.
"""

import argparse
import json
from pathlib import Path
from typing import Any

BOARDS = Path(__file__).parent / "dashboards"


def place(target: Path, addresses: dict[str, str]) -> None:
    """Write every board into ``target`` with the constants of ``addresses`` (``airflow_url``, ``web_url``) set."""
    target.mkdir(parents=True, exist_ok=True)
    for source in sorted(BOARDS.glob("*.json")):
        board = json.loads(source.read_text())
        _set_constants(board, addresses)
        (target / source.name).write_text(json.dumps(board, indent=2, ensure_ascii=False) + "\n")


def _set_constants(board: dict[str, Any], addresses: dict[str, str]) -> None:
    constants = {v["name"]: v for v in board["templating"]["list"] if v["type"] == "constant"}
    unknown = addresses.keys() - constants.keys()
    if unknown:
        raise ValueError(f"The board {board['title']!r} has no constant {', '.join(sorted(unknown))}.")
    for name, url in addresses.items():
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{name} must begin with http:// or https://, not {url!r}.")
        constants[name]["query"] = url.rstrip("/")


def main() -> None:
    parser = argparse.ArgumentParser(description="Copy the Grafana boards with the addresses that their links lead to.")
    parser.add_argument("target", type=Path)
    parser.add_argument("--airflow-url", required=True)
    parser.add_argument("--web-url", required=True)
    arguments = parser.parse_args()
    place(arguments.target, {"airflow_url": arguments.airflow_url, "web_url": arguments.web_url})


if __name__ == "__main__":
    main()
