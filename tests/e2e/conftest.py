"""The whole stack as a newcomer starts it, on ports of its own, with a recorded market of the test's own making."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.stack import Stack, make_home, running_stack

CYCLE_SECONDS = 15
CANDLES_PER_MINUTE = 12
MINUTES_OF_MARKET = 60


def candle_close(number: int) -> float:
    """A market that swings by about 2 % over ten candles."""
    return round(40_000 * (1 + 0.01 * math.sin(number * math.tau / 10)) + number, 2)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """A stack with cycles of 15 s and a replayed market; stopped and removed at the end."""
    home = make_home()
    write_market(home / "market.csv")
    settings = {
        "COINWATCH_COLLECT_SCHEDULE_MINUTES": str(CYCLE_SECONDS / 60),
        "COINWATCH_COINNEWS_REPLAY": str(home / "market.csv"),
        "COINWATCH_COINNEWS_SPEED": str(CANDLES_PER_MINUTE),
    }
    with running_stack(home, settings) as stack:
        yield stack


def write_market(path: Path) -> None:
    """One-minute candles in the layout that ``coinwatch coinnews --replay`` reads."""
    start = datetime(2022, 1, 1, tzinfo=UTC)
    lines = ["timestamp,open,high,low,close,volume"]
    for number in range(MINUTES_OF_MARKET * CANDLES_PER_MINUTE):
        moment = (start + timedelta(minutes=number)).strftime("%Y-%m-%d %H:%M:%S.000000")
        close = candle_close(number)
        lines.append(f"{moment},{close},{close},{close},{close},1.0")
    path.write_text("\n".join(lines) + "\n")
