"""Load generators: wrk for servers, pgbench for Postgres. Both use the same number of connections."""

import json
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.api.servers import Server
from benchmarks.api.statements import SETTINGS
from benchmarks.shared.postgres import Database

CONNECTIONS = 8
SCRIPT = Path(__file__).with_name("requests.lua")


@dataclass(frozen=True)
class Measured:
    """Requests (or transactions) per second, and the time that they took."""

    per_second: float
    p50_ms: float
    p99_ms: float


def check_programs() -> None:
    """Raise RuntimeError if wrk is missing."""
    if shutil.which("wrk") is None:
        raise RuntimeError("wrk is not on PATH (Debian package: wrk)")


def run_wrk(server: Server, read: str, instruments: int, seconds: float) -> Measured:
    """Request random instruments from a server. Raises RuntimeError if a request fails."""
    command = ["wrk", "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{seconds:.0f}s"]
    command += [part for header in server.headers for part in ("--header", header)]
    command += ["--timeout", "30s", "--script", str(SCRIPT), server.url]
    finished = subprocess.run(
        [*command, "--", server.paths[read], str(instruments)], capture_output=True, text=True, check=True
    )
    [line] = [line for line in finished.stdout.splitlines() if line.startswith("JSON ")]
    found = json.loads(line.removeprefix("JSON "))
    if found["errors"]:
        raise RuntimeError(f"{server.name}, {read}: {found['errors']} of {found['requests']} requests failed")
    return Measured(found["requests"] / found["seconds"], found["p50_ms"], found["p99_ms"])


def run_pgbench(database: Database, script: str, parameters: Mapping[str, object], seconds: float) -> Measured:
    """Execute a script on prepared statements."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "script.sql").write_text(script)
        command = [str(_pgbench(database)), "--no-vacuum", "--protocol", "prepared", "--log", "--jobs", "1"]
        command += ["--client", str(CONNECTIONS), "--time", f"{seconds:.0f}", "--file", "script.sql"]
        command += [f"--define={name}={value}" for name, value in parameters.items()]
        subprocess.run(
            [*command, database.url], cwd=folder, env={"PGOPTIONS": SETTINGS}, capture_output=True, check=True
        )
        lines = [line.split() for log in Path(folder).glob("pgbench_log.*") for line in log.read_text().splitlines()]
    milliseconds = [int(line[2]) / 1000 for line in lines]
    percentiles = statistics.quantiles(milliseconds, n=100, method="inclusive")
    return Measured(len(milliseconds) / seconds, percentiles[49], percentiles[98])


def _pgbench(database: Database) -> Path:
    """pgbench in the folder of the running server's programs."""
    [postgres] = [Path(part) for part in database.server.command if Path(part).name == "postgres"]
    return postgres.with_name("pgbench")
