"""Which instruments an exchange does not trade at present (table ``trading_halts``).

Some exchanges say it in the response that has the quotes. The others are asked by a request of its own, by whichever
worker is the first to need it in half a minute.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection, Engine

from coinwatch.database import statement, transaction
from coinwatch.errors import ExchangeUnavailable
from coinwatch.exchanges.models import Exchange, Instrument, RejectedQuote, TradingStatus
from coinwatch.exchanges.trading_status import reject_not_trading

# Between two requests, so that a schedule of seconds spends none of an exchange's rate limit on them.
MIN_INTERVAL = timedelta(seconds=30)

log = structlog.get_logger()


def find_trading_halts(
    engine: Engine, adapter: Exchange, exchange_id: int, instruments: Mapping[Instrument, int], now: datetime
) -> list[RejectedQuote]:
    """Rejections of the instruments not to fetch because they are not traded. ``instruments`` are the watched ones.

    If the exchange is unavailable, the last known halts apply. Raises RateLimited, ExchangeDenied or DatabaseError.
    """
    with transaction(engine) as connection:
        exchange = {"exchange_id": exchange_id}
        last_check = connection.execute(statement("prices/ingest/trading_halts/select_last_check"), exchange)
        checked_at = last_check.scalar_one_or_none()
        known = connection.execute(statement("prices/ingest/trading_halts/select_trading_halts"), exchange).all()
    if checked_at is None or checked_at + MIN_INTERVAL <= now:
        try:
            found = list(adapter.fetch_trading_status(list(instruments)))
        except ExchangeUnavailable as error:
            log.warning("trading status not updated", exchange=adapter.code, error=error.reason)
        else:
            with transaction(engine) as connection:
                connection.execute(statement("prices/ingest/trading_halts/record_check"), exchange | {"now": now})
            return found
    by_id = {instrument_id: instrument for instrument, instrument_id in instruments.items()}
    return [
        reject_not_trading(by_id[row.instrument_id], TradingStatus(row.status), row.term)
        for row in known
        if row.instrument_id in by_id
    ]


def record_trading_halts(
    connection: Connection,
    exchange_id: int,
    instruments: Mapping[Instrument, int],
    rejected: Sequence[RejectedQuote],
    now: datetime,
) -> None:
    """Make the stored halts of the exchange those among ``rejected``."""
    by_symbol = {instrument.symbol: instrument_id for instrument, instrument_id in instruments.items()}
    halts = {by_symbol[quote.symbol]: quote for quote in rejected if quote.status and quote.symbol in by_symbol}
    parameters = {"exchange_id": exchange_id, "instrument_ids": list(halts), "now": now}
    connection.execute(statement("prices/ingest/trading_halts/delete_ended_halts"), parameters)
    if halts:
        parameters["statuses"] = [str(quote.status) for quote in halts.values()]
        parameters["terms"] = [quote.raw for quote in halts.values()]
        connection.execute(statement("prices/ingest/trading_halts/upsert_trading_halts"), parameters)
