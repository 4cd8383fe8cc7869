"""Instruments as files and people name them: BTC/USDT, BTCUSDT, the exchange's own symbol."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Engine

from coinwatch.database import statement, transaction
from coinwatch.errors import NotFound
from coinwatch.exchanges.models import Instrument
from coinwatch.settings import config_path


class KnownInstrument(NamedTuple):
    """An instrument of the tables with its id, whether or not it is watched now."""

    instrument_id: int
    instrument: Instrument


class InstrumentLookup:
    """Every instrument of the tables, read once."""

    def __init__(self, found: Iterable[KnownInstrument]) -> None:
        self._by_pair: dict[tuple[str, str, str], KnownInstrument] = {}
        self._by_symbol: dict[tuple[str, str], KnownInstrument] = {}
        for known in found:
            exchange, base, quote, symbol = (
                getattr(known.instrument, name) for name in ("exchange", "base", "quote", "symbol")
            )
            self._by_pair[exchange, base, quote] = known
            self._by_symbol[exchange, plain_symbol(symbol)] = known
            self._by_symbol[exchange, base + quote] = known

    def get(self, exchange: str, base: str, quote: str) -> KnownInstrument | None:
        """By our own codes."""
        return self._by_pair.get((exchange, base, quote))

    def find(self, exchange: str, symbol: str) -> KnownInstrument:
        """By any name of the pair; NotFound says which there are, and how to add one."""
        code = exchange.strip().lower()
        known = self._by_symbol.get((code, plain_symbol(symbol)))
        if known:
            return known
        pairs = [known.instrument.pair for (other, _, _), known in self._by_pair.items() if other == code]
        if pairs:
            there = f"{code} has no instrument {symbol} in the tables, but {', '.join(pairs)}"
            where = f"exchanges.{code}.instruments"
        else:
            exchanges = sorted({exchange for exchange, _, _ in self._by_pair})
            there = f"There is no exchange {code!r} in the tables, but {', '.join(exchanges) or 'none at all'}"
            where = f"a table [exchanges.{code}]"
        raise NotFound(f"{there}. To add one, write it to {where} in {config_path()} and run: coinwatch migrate")


def load_instrument_lookup(engine: Engine) -> InstrumentLookup:
    """Read them. Raises DatabaseError."""
    with transaction(engine) as connection:
        found = connection.execute(statement("prices/catalog/select_instruments")).all()
    return InstrumentLookup(
        KnownInstrument(row.instrument_id, Instrument(row.exchange, row.base, row.quote, row.symbol)) for row in found
    )


def plain_symbol(symbol: str) -> str:
    """A symbol without what exchanges write between base and quote: btc-usdt, BTC/USDT and BTCUSDT are one."""
    return re.sub(r"[^A-Z0-9]", "", symbol.upper())
