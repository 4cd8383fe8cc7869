"""Errors for coins and exchanges that are not tracked: what was probably meant, and what there is."""

from typing import NamedTuple

from sqlalchemy import Connection

from coinwatch.codes import code_key
from coinwatch.database import fetch_rows, statement
from coinwatch.errors import NotFound
from coinwatch.formatting import did_you_mean

MAX_LISTED = 20


class _Coin(NamedTuple):
    code: str
    name: str
    exchanges: list[str]


def check_names(connection: Connection, coin: str | None = None, exchange: str | None = None) -> None:
    """Raise NotFound unless the coin (a code or name) is tracked on the exchange (a code); None means any.

    Both ignore case. Call it when a query found nothing, to tell a name that doesn't exist from data that is missing.
    """
    code = None if exchange is None else exchange.strip().lower()
    if code is not None and code not in _exchange_codes(connection):
        raise unknown_exchange(connection, code)
    if coin is None:
        return
    wanted = code_key(coin)
    for known in _tracked_coins(connection):
        if wanted in {code_key(known.code), code_key(known.name)} and (code is None or code in known.exchanges):
            return
    raise unknown_coin(connection, coin, code)


def unknown_exchange(connection: Connection, exchange: str) -> NotFound:
    """The error for an exchange that doesn't exist."""
    codes = _exchange_codes(connection)
    return NotFound(
        f"Unknown exchange {exchange!r}.{did_you_mean(exchange, {code: code for code in codes})} "
        f"Available: {_listed(codes) or 'none yet (run coinwatch migrate)'}."
    )


def unknown_coin(connection: Connection, coin: str, exchange: str | None) -> NotFound:
    """The error for a coin that isn't tracked on an exchange, or on any if that is None.

    A coin that is tracked elsewhere is named with its exchanges. An unknown exchange is reported instead.
    """
    if exchange is not None and exchange not in _exchange_codes(connection):
        return unknown_exchange(connection, exchange)
    everywhere = _tracked_coins(connection)
    here = [known for known in everywhere if exchange is None or exchange in known.exchanges]
    names = {text: known.code for known in here for text in (known.code, known.name)}
    where = exchange or "any exchange"
    elsewhere = [known for known in everywhere if code_key(coin) in {code_key(known.code), code_key(known.name)}]
    if elsewhere:
        return NotFound(f"{elsewhere[0].code} is not tracked on {where}. Available: {_listed(elsewhere[0].exchanges)}.")
    tracked = _listed([known.code for known in here])
    return NotFound(
        f"{coin!r} is not tracked on {where}.{did_you_mean(coin, names)} Tracked: {tracked or 'nothing yet'}."
    )


def _exchange_codes(connection: Connection) -> list[str]:
    return list(connection.execute(statement("prices/catalog/select_exchange_codes")).scalars())


def _tracked_coins(connection: Connection) -> list[_Coin]:
    return fetch_rows(connection, "prices/catalog/select_tracked_coins", {}, _Coin)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join(names[:MAX_LISTED]) + more
