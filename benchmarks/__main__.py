"""Run the benchmarks one after the other: ``python -m benchmarks``.

Prints a table for each and writes all figures to one JSON file. At full size, with 10,000,000 quotes loaded and
100,000,000 stored, this takes about two hours and 45 GB in the temporary folder; ``--small`` takes minutes and shows
that everything works, not how fast it is.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from benchmarks.shared.report import Goal, Report, say, text_of

SMALL = {
    "loading": ["--rows", "1000", "200000", "--rounds", "1"],
    "freshness": ["--sizes", "200000", "1000000", "--competitor-seconds", "10"],
    "reads": ["--prices", "1000000", "--runs", "50"],
    "backfill": ["--days", "2"],
    "delivery": ["--small"],
    "evaluation": ["--small"],
    "backtest": ["--small"],
    "alertmanager": ["--small"],
    "overview": ["--small"],
    "api": ["--small"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(SMALL), default=list(SMALL), help="run only these")
    parser.add_argument("--small", action="store_true", help="small sizes")
    parser.add_argument(
        "--json", type=Path, default=Path("benchmarks.json"), metavar="FILE", help="default: %(default)s"
    )
    arguments = parser.parse_args()
    found: dict[str, object] = {}
    for name in arguments.only:
        say(name)
        command = [sys.executable, "-m", f"benchmarks.{name}", "--json", *(SMALL[name] if arguments.small else [])]
        finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if finished.returncode:
            parser.exit(
                finished.returncode, f"benchmarks.{name} failed; the figures up to here are in {arguments.json}\n"
            )
        found[name] = report = json.loads(finished.stdout)
        print(text_of(Report(**report | {"goals": [Goal(**goal) for goal in report["goals"]]})), flush=True)
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
