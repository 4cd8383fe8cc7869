"""The statements that the web app executes for each of the two reads, for pgbench and psycopg2."""

import re
from datetime import datetime, timedelta
from functools import lru_cache

from benchmarks.shared.market import EXCHANGE
from coinwatch.database import statement
from coinwatch.prices.history.latest import OLDEST_COMPARED

LATEST, HISTORY = "latest price", "24 h of history"
DAY_ROWS = 1440
STATEMENTS = {
    LATEST: ("prices/history/select_latest_prices",),
    HISTORY: ("prices/catalog/find_instruments", "prices/history/select_prices"),
}
PARAMETER = re.compile(r"(?<![:\w]):([a-z_]\w*)")
SETTINGS = "-c timezone=UTC -c jit=off"  # as in the sessions of the app


def parameters(now: datetime) -> dict[str, object]:
    """Values of all parameters except the coin and the instrument; the history ends at ``now``."""
    return {
        "now": now,
        "exchange": EXCHANGE,
        "with_change": True,
        "oldest": now - OLDEST_COMPARED,
        "newest": now - timedelta(hours=24) + timedelta(minutes=1),
        "start": now - timedelta(minutes=DAY_ROWS),
        "end": now,
        "limit": DAY_ROWS + 1,
    }


@lru_cache
def psycopg2_statements(read: str) -> list[str]:
    """The statements of a read with psycopg2's parameters."""
    return [PARAMETER.sub(r"%(\1)s", _plain(name).replace("%", "%%")) for name in STATEMENTS[read]]


def pgbench_script(read: str, instruments: int) -> str:
    """A script that executes the statements of a read for a random coin, passing the id that the first one finds."""
    first, *rest = (_plain(name).rstrip().rstrip(";") for name in STATEMENTS[read])
    lines = [f"\\set coin random(1, {instruments})", first.replace(":coin", "('C' || CAST(:coin AS text))")]
    lines += ["\\gset", *rest] if rest else []
    return "\n".join(lines) + ";\n"


def _plain(name: str) -> str:
    """The statement in one line, without comments."""
    return " ".join(re.sub("--.*", "", str(statement(name))).split())
