"""What commands print: exit codes, logs, long and hostile texts."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from coinwatch.prices.candles.refresh import refresh_candles
from tests.conftest import Database
from tests.support.command_line import Command
from tests.support.quotes import load, quote

HOSTILE = "\x1b]0;owned\x07 \x9b2J \u202e gnp.exe [/x] [bold] :smile:"
ESCAPED = r"\x1b]0;owned\x07 \x9b2J \u202e gnp.exe [/x] [bold] :smile:"
LONG_ADDRESS = f"{'a' * 60}@{'b' * 60}.{'c' * 60}.example.org"

pytestmark = pytest.mark.usefixtures("catalog")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("prices",), 0),
        (("prices", "--json"), 0),
        (("history", "BTC", "--exchange", "kraken"), 1),  # there are no prices
        (("unsubscribe", "99"), 1),
        (("history",), 2),
        (("history", "BTC", "--limit", "1"), 2),
        (("history", "BTC", "--limit", "many"), 2),
        (("history", "BTC", "--last", "soon"), 2),
        (("history", "BTC", "--last", "1M"), 2),
        (("history", "BTC", "--last", "1h", "--from", "2026-03-01"), 2),
        (("candles", "BTC", "--resolution", "2h"), 2),
        (("movers", "--window", "0s"), 2),
        (("movers", "--limit", "0"), 2),
        (("gaps", "--last", "x"), 2),
        (("gaps", "find", "--from", "2026-03-02", "--to", "2026-03-01"), 2),
        (("outbox", "show", "--status", "nope"), 2),
        (("outbox", "retry"), 2),
        (("outbox", "show", "--limit", "-1"), 2),
        (("subscriber", "lift-suppression"), 2),
        (("backfill", "--exchange", "kraken", "--from", "noon"), 2),
        (("subscribe", "ada@example.org", "BTC", "--kind", "nope"), 2),
        (("subscribe", "ada@example.org", "BTC", "--colour", "red"), 2),
        (("nonsense",), 2),
    ],
)
def test_exit_code_is_2_for_usage_errors_and_1_for_failures(
    coinwatch: Command, arguments: tuple[str, ...], code: int
) -> None:
    done = coinwatch(*arguments)
    assert done.returncode == code, done.stderr
    assert bool(done.stderr) == bool(code), "an error has a message, a result has none"


@pytest.mark.parametrize("arguments", [("-5",), ("--threshold", "-5"), ("--threshold=-5",)])
def test_negative_threshold_is_a_number_and_not_an_option(coinwatch: Command, arguments: tuple[str, ...]) -> None:
    for command in (("subscribe", "ada@example.org"), ("backtest",)):
        done = coinwatch(*command, "BTC", *arguments)
        assert done.returncode == 2
        assert "The change is -5%; it must be between 0.01% and 1,000%. For a fall, choose the dir" in done.stderr


def test_logs_are_written_to_standard_error_only_with_verbose(coinwatch: Command, catalog: sa.Engine) -> None:
    export = ("export", "exported", "--from", "2026-03-01", "--to", "2026-03-01", "--json")
    quiet = coinwatch(*export)
    assert (quiet.returncode, quiet.stderr) == (0, "")
    for arguments in (("--verbose", *export), (*export, "--verbose")):
        verbose = coinwatch(*arguments)
        assert json.loads(verbose.stdout) == json.loads(quiet.stdout)
        assert "history exported" in {json.loads(line)["event"] for line in verbose.stderr.splitlines()}


def test_tables_show_addresses_as_their_owners_write_them_but_not_too_wide(coinwatch: Command) -> None:
    coinwatch("subscribe", LONG_ADDRESS, "BTC", "5")
    coinwatch("subscribe", "ada@example.org", "BTC", "5")
    table = coinwatch("subscriptions").stdout
    assert max(map(len, table.splitlines())) < 180
    assert "aaaa…cccc" in table
    assert "ada@example.org " in table
    assert "ada@müller.example" in coinwatch("subscribe", "ada@müller.example", "BTC", "5").stdout
    assert "ada@müller.example" in coinwatch("subscriptions").stdout
    assert json.loads(coinwatch("subscriptions", "--json").stdout)[0]["email"] == LONG_ADDRESS


def texts(value: Any) -> Iterator[str]:
    """All texts in a JSON document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts(item)


def test_output_that_the_terminal_cannot_encode_is_escaped(coinwatch: Command, environment: dict[str, str]) -> None:
    coinwatch("subscribe", LONG_ADDRESS, "BTC", "5")
    variables = os.environ | environment | {"PYTHONIOENCODING": "ascii"}
    program = Path(sys.executable).with_name("coinwatch")
    done = subprocess.run([program, "subscriptions"], env=variables, capture_output=True, text=True, check=True)
    assert r"aaaa\u2026cccc" in done.stdout


def test_cut_list_of_emails_says_so(coinwatch: Command, database: Database) -> None:
    coinwatch("subscribe", "ada@example.org", "BTC", "5")
    with psycopg.connect(database.url("app")) as connection:
        connection.execute(
            "INSERT INTO outbox (dedupe_key, user_id, recipient, kind, payload, created_at, next_attempt_at)"
            " SELECT n::text, id, email, 'confirmation', '{}', now(), now() FROM users, generate_series(1, 3) n"
        )
    assert "Showing the newest 2. To see more, pass --limit." in coinwatch("outbox", "show", "--limit", "2").stdout
    assert "Showing" not in coinwatch("outbox", "show", "--limit", "3").stdout
    assert len(json.loads(coinwatch("outbox", "show", "--limit", "2", "--json").stdout)) == 2


def test_a_day_as_the_end_is_included_in_every_command(coinwatch: Command, catalog: sa.Engine) -> None:
    load(catalog, *(quote(100.0 + hour, 60 * hour + 30) for hour in range(24)))  # from 2026-03-01 12:00
    refresh_candles(catalog)
    where, day = ("BTC", "--exchange", "kraken"), ("--from", "2026-03-01", "--to", "2026-03-01", "--json")
    assert len(json.loads(coinwatch("history", *where, *day).stdout)["points"]) == 12
    assert len(json.loads(coinwatch("candles", *where, *day).stdout)["candles"]) == 12
    assert json.loads(coinwatch("backtest", *where, *day).stdout)["values"] == 12
    until_noon = coinwatch("history", *where, "--from", "2026-03-01", "--to", "2026-03-01T18:00", "--json")
    assert len(json.loads(until_noon.stdout)["points"]) == 6
    wrong = coinwatch("history", *where, "--from", "2026-03-02", "--to", "2026-03-01")
    assert (wrong.returncode, "--from 2026-03-02 is not before --to 2026-03-01." in wrong.stderr) == (2, True)


@pytest.fixture
def hostile_names(catalog: sa.Engine, database: Database) -> None:
    """An exchange whose last error contains terminal escapes, and a coin with such a name."""
    load(catalog, quote(100.0, 0))
    with psycopg.connect(database.url("app")) as connection:
        connection.execute(
            "INSERT INTO exchange_status (exchange_id, failures, last_error) SELECT id, 1, %s FROM exchanges"
            " WHERE code = 'kraken' ON CONFLICT (exchange_id) DO UPDATE SET failures = 1, last_error = %s",
            [HOSTILE, HOSTILE],
        )
        connection.execute("UPDATE coins SET name = %s WHERE code = 'BTC'", [HOSTILE])


@pytest.mark.usefixtures("hostile_names")
def test_control_characters_and_markup_are_printed_as_text(coinwatch: Command) -> None:
    for arguments in (("exchanges", "list"), ("status",)):
        done = coinwatch(*arguments)
        assert done.returncode == 0, done.stderr
        assert ESCAPED in done.stdout, arguments
    for arguments in (("exchanges", "list", "--json"), ("status", "--json"), ("prices", "--json")):
        text = coinwatch(*arguments).stdout
        assert not set(text) & set("\x1b\x07\x9b\u202e"), arguments
        assert HOSTILE in set(texts(json.loads(text))), arguments


def test_control_characters_in_arguments_are_rejected_without_printing_them(coinwatch: Command) -> None:
    for arguments in (("prices", HOSTILE), ("prices", "--\x1b[31m"), ("sub\x1b[2Jscribe",), ("prices", "a\nb")):
        done = coinwatch(*arguments)
        assert done.returncode == 2
        assert "contains control characters" in done.stderr
        assert not set(done.stderr) & set("\x1b\x07\x9b\u202e")
