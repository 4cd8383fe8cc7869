"""Prices as lines for accounting programs."""

from datetime import datetime, timedelta, timezone

from coinwatch.web.formats.price_directives import to_beancount, to_journal
from coinwatch.web.formats.tables import Table

COLUMNS = {"base": str, "quote": str, "opened_at": datetime, "close": float}
LATE = datetime(2026, 11, 30, 23, 30, tzinfo=timezone(-timedelta(hours=2)))


def lines(write: object, base: str, price: float) -> str:
    assert callable(write)
    return str(write(Table(COLUMNS, [(base, "USD", LATE, price)])).decode())


def test_journal_has_the_time_in_utc_and_the_exact_price() -> None:
    assert lines(to_journal, "DOGE", 1.5e-7) == "P 2026-12-01 01:30:00 DOGE 0.00000015 USD\n"


def test_journal_quotes_codes_that_are_not_letters() -> None:
    assert lines(to_journal, "1INCH", 0.25) == 'P 2026-12-01 01:30:00 "1INCH" 0.25 USD\n'


def test_beancount_has_the_utc_day() -> None:
    assert lines(to_beancount, "BTC", 95591.67) == "2026-12-01 price BTC 95591.67 USD\n"


def test_beancount_gets_a_comment_for_a_code_it_cannot_read() -> None:
    assert lines(to_beancount, "1INCH", 0.25).startswith("; not a Beancount currency: ")


def test_no_rows_are_an_empty_file() -> None:
    assert to_journal(Table(COLUMNS, [])) == b""
