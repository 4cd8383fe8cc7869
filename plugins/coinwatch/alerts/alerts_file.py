"""Writes ``alerts.txt``: one line per alert, for ``tail -f`` and scripts.

Each line ends with the alert's id, so the next run continues after the last line, even if a run failed.
"""

import fcntl
import os
import re
import stat
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Engine

from coinwatch.alerts.rules import EXTREMES, extreme_name
from coinwatch.database import statement, transaction
from coinwatch.formatting import escape_control_characters, format_percent, plain_number

BATCH = 10_000
TAIL_BYTES = 4096
MODE = 0o640  # what people watch is nobody else's business; the group is for log shippers
ALERT_ID = re.compile(rb"alert (\d+)$")


def append_alerts(engine: Engine, path: Path) -> int:
    """Append all alerts after the last one in the file; return the number of lines written.

    A new file has the mode 0640 at most. The mode of an existing file is left alone, except that others lose access.
    A line reads ``2026-01-31T12:00:00+00:00 BTC/USD coinbase 105.0 +5.00% since 100.0 (threshold 5% either) alert 17``.
    Raises OSError if the file can't be written, and DatabaseError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab+", opener=partial(os.open, mode=MODE)) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        _deny_others(file)
        last, written = _last_alert(file), 0
        while True:
            with transaction(engine) as connection:
                query = statement("alerts/select_alerts_after")
                rows = connection.execute(query, {"alert_id": last, "limit": BATCH}).all()
            for row in rows:
                condition = f"threshold {format_percent(row.threshold, decimals=6)}"
                if row.kind == "crosses":
                    condition = f"level {plain_number(row.threshold)}"
                elif row.kind in EXTREMES:
                    condition = (
                        f"{extreme_name(row.kind, row.window_seconds)}, threshold {format_percent(row.threshold)}"
                    )
                if row.steps is not None:
                    condition += f", {row.steps} further by {format_percent(row.ladder_percent, decimals=6)}"
                line = (
                    f"{row.observed_at.isoformat()} {row.base}/{row.quote} {row.exchange} {plain_number(row.price)} "
                    f"{row.change_percent:+.2f}% since {plain_number(row.reference)} ({condition} {row.direction}) "
                    f"alert {row.id}"
                )
                file.write(f"{escape_control_characters(line)}\n".encode())
                last = row.id
            written += len(rows)
            if len(rows) < BATCH:
                return written


def _deny_others(file: BinaryIO) -> None:
    """Close a file that an earlier version created readable for everyone; another owner's file stays as it is."""
    status = os.fstat(file.fileno())
    if stat.S_ISREG(status.st_mode) and status.st_mode & stat.S_IRWXO:
        with suppress(PermissionError):
            os.fchmod(file.fileno(), stat.S_IMODE(status.st_mode) & ~stat.S_IRWXO)


def _last_alert(file: BinaryIO) -> int:
    """Return the alert id of the last complete line, 0 if there is none; remove a line that a crash cut off."""
    size = file.seek(0, os.SEEK_END)
    start = file.seek(max(0, size - TAIL_BYTES))
    tail = file.read()
    complete = tail[: tail.rfind(b"\n") + 1]
    if len(complete) < len(tail):
        file.truncate(start + len(complete))
    for line in reversed(complete.splitlines()):
        if found := ALERT_ID.search(line):
            return int(found.group(1))
    return 0
