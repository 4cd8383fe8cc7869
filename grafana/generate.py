"""Writes dashboards/coinwatch.json from board.py.

python -m grafana.generate            write the file
python -m grafana.generate --check    say whether the file is what board.py makes; exit code 1 if not
"""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent / "dashboards" / "coinwatch.json"


class IncompletePanel(Exception):
    """A panel lacks something that people need to read it; the message names panel and lack."""


def generate() -> str:
    """The board as the JSON text of the file; IncompletePanel when a panel leaves its reader alone."""
    with warnings.catch_warnings():
        # The SDK recommends its v2 boards; Grafana rejects those in provisioned files.
        warnings.filterwarnings("ignore", message="Prefer using dashboardv2", category=DeprecationWarning)
        from grafana_foundation_sdk.cog.encoder import JSONEncoder

        from grafana.board import make_board

        board = json.loads(JSONEncoder().encode(make_board().build()))
    complete(board)
    problems = lacks(board)
    if problems:
        raise IncompletePanel("\n".join(problems))
    return json.dumps(board, indent=2, ensure_ascii=False) + "\n"


def complete(board: dict[str, Any]) -> None:
    """Give every panel its id, and take out what the SDK writes although Grafana's classic format lacks it."""
    for number, panel in enumerate(board["panels"], start=1):
        panel["id"] = number
        if panel["type"] == "table":
            panel["options"].pop("footer", None)
    for link in board["links"]:
        link.pop("placement", None)  # the SDK's value hides links in a menu
    for variable in board["templating"]["list"]:
        for field in ("auto", "auto_min", "auto_count"):
            variable.pop(field, None)
        if variable["type"] == "constant":
            variable.update(hide=2, skipUrlSync=True)


def lacks(board: dict[str, Any]) -> list[str]:
    """What is missing: a line for each panel without title, unit, description, or advice in the description."""
    from grafana.panels import REACTION

    problems = []
    for panel in board["panels"]:
        if panel["type"] == "row":
            continue
        name = panel.get("title") or f"panel {panel.get('id')}"
        shows, _, reaction = panel.get("description", "").partition(REACTION)
        if not panel.get("title", "").strip():
            problems.append(f"{name}: has no title.")
        if not shows.strip():
            problems.append(f"{name}: the description does not say what it shows.")
        if not reaction.strip():
            problems.append(f"{name}: the description does not say what to do when it looks wrong.")
        if not panel.get("fieldConfig", {}).get("defaults", {}).get("unit"):
            problems.append(f"{name}: has no unit.")
    return problems


def main(arguments: list[str]) -> int:
    text = generate()
    if arguments == ["--check"]:
        same = TARGET.is_file() and TARGET.read_text() == text
        print("up to date" if same else f"{TARGET} differs from board.py. Run: python -m grafana.generate")
        return 0 if same else 1
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
