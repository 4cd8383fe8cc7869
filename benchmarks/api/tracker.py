"""The stack of Crypto Prices Tracker: Flask and psycopg2, run by gunicorn with synchronous workers.

Its routes execute the same statements on the same tables as coinwatch and return the same fields. With
``TRACKER_CONNECTION=worker`` each worker keeps its connection, otherwise each request opens one.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Any

import psycopg2
from flask import Flask, jsonify
from flask.typing import ResponseReturnValue
from psycopg2.extras import RealDictCursor

from benchmarks.api.statements import HISTORY, LATEST, SETTINGS, parameters, psycopg2_statements

app = Flask(__name__)
kept: list[Any] = []


@app.get("/prices/<coin>/<exchange>")
def latest_price(coin: str, exchange: str) -> ResponseReturnValue:
    [statement] = psycopg2_statements(LATEST)
    given = parameters(datetime.now().astimezone()) | {"coin": coin, "exchange": exchange}
    with cursor() as opened:
        opened.execute(statement, given)
        return jsonify([_plain(row) for row in opened.fetchall()])


@app.get("/history/<coin>/<exchange>/<end>")
def history(coin: str, exchange: str, end: str) -> ResponseReturnValue:
    find_instruments, select_prices = psycopg2_statements(HISTORY)
    given = parameters(datetime.fromisoformat(end)) | {"coin": coin, "exchange": exchange}
    with cursor() as opened:
        opened.execute(find_instruments, given)
        [found] = opened.fetchall()
        opened.execute(select_prices, given | {"instrument_id": found["instrument_id"]})
        points = [_plain(row) for row in opened.fetchall()]
    return jsonify({"exchange": exchange, "base": found["base"], "quote": found["quote"], "points": points})


@contextmanager
def cursor() -> Iterator[Any]:
    """A cursor that returns rows as dictionaries, in autocommit mode, which saves two round trips."""
    if os.environ.get("TRACKER_CONNECTION") != "worker":
        with closing(_connect()) as connection, connection.cursor() as opened:
            yield opened
        return
    if not kept:
        kept.append(_connect())
    with kept[0].cursor() as opened:
        yield opened


def _connect() -> Any:
    connection = psycopg2.connect(os.environ["DATABASE_URL"], cursor_factory=RealDictCursor, options=SETTINGS)
    connection.autocommit = True
    return connection


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
