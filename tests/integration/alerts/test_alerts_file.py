"""alerts.txt: every alert once, also after a crash, a cut-off line or a lost file."""

import os
import re
from pathlib import Path

import pytest
import sqlalchemy as sa

from coinwatch.alerts.alerts_file import append_alerts
from coinwatch.alerts.rules import Rule
from coinwatch.pipeline import store_alerts
from tests.support.quotes import at, load, quote
from tests.support.subscriptions import subscribe


@pytest.fixture
def fired(catalog: sa.Engine) -> sa.Engine:
    """Three alerts."""
    subscribe(
        catalog,
        email="ada@example.org",
        coin="BTC",
        exchange="kraken",
        rule=Rule(threshold=5),
        now=at(-1),
        confirmed=True,
    )
    for minute, price in enumerate((100.0, 110.0, 99.0, 110.0)):
        load(catalog, quote(price, minute))
    store_alerts(catalog, at(4))
    return catalog


def ids(path: Path) -> list[str]:
    return re.findall(r"alert (\d+)$", path.read_text(), re.MULTILINE)


def test_line_describes_the_alert(fired: sa.Engine, tmp_path: Path) -> None:
    path = tmp_path / "new" / "alerts.txt"
    assert append_alerts(fired, path) == 3
    assert path.read_text().splitlines()[0] == (
        "2026-03-01T12:01:00+00:00 BTC/USD kraken 110.0 +10.00% since 100.0 (threshold 5% either) alert 1"
    )


def test_file_is_not_readable_by_others(fired: sa.Engine, tmp_path: Path) -> None:
    new, existing = tmp_path / "alerts.txt", tmp_path / "existing.txt"
    existing.touch(0o644)
    existing.chmod(0o664)
    before = os.umask(0)
    try:
        append_alerts(fired, new)
        append_alerts(fired, existing)
    finally:
        os.umask(before)
    assert (new.stat().st_mode & 0o777, existing.stat().st_mode & 0o777) == (0o640, 0o660)


def test_writing_again_adds_only_new_alerts(fired: sa.Engine, tmp_path: Path) -> None:
    path = tmp_path / "alerts.txt"
    append_alerts(fired, path)
    assert append_alerts(fired, path) == 0
    load(fired, quote(50.0, 5))
    store_alerts(fired, at(5))
    assert append_alerts(fired, path) == 1
    assert ids(path) == ["1", "2", "3", "4"]


def test_line_truncated_by_a_crash_is_rewritten(fired: sa.Engine, tmp_path: Path) -> None:
    path = tmp_path / "alerts.txt"
    append_alerts(fired, path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    assert append_alerts(fired, path) == 1
    assert path.read_bytes() == whole
