"""Where a stack's Postgres may keep its files. Apart from postgres.py because ``stop`` needs no more of it."""

import os
from pathlib import Path

from local.layout import Layout

OUTSIDE = Path("/var/lib/coinwatch")


def possible_homes(layout: Layout) -> tuple[Path, Path]:
    """Inside the stack's folder; and outside, for root's clone in a folder that nobody else can enter. Real paths."""
    return Path(os.path.realpath(layout.home / "postgres")), Path(os.path.realpath(OUTSIDE / layout.tag))
