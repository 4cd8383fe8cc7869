"""Finding instruments by pair (BTC/USDT), joined pair (BTCUSDT) or the exchange's own symbol."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Engine

from coinwatch.database import statement, transaction
from coinwatch.errors import NotFound
from coinwatch.exchanges.models import Instrument
from coinwatch.settings import config_path


class KnownInstrument(NamedTuple):
    """A stored instrument, watched or not, with its id."""

    instrument_id: int
    instrument: Instrument


class InstrumentLookup:
    """All stored instruments, read once."""

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
        """The instrument with these codes; None if it does not exist."""
        return self._by_pair.get((exchange, base, quote))

    def find(self, exchange: str, symbol: str) -> KnownInstrument:
        """The instrument with any form of its symbol. Raises NotFound, which says how to add it."""
        code = exchange.strip().lower()
        known = self._by_symbol.get((code, plain_symbol(symbol)))
        if known:
            return known
        pairs = [known.instrument.pair for (other, _, _), known in self._by_pair.items() if other == code]
        if pairs:
            problem = f"{symbol} is not tracked on {code}. Tracked: {', '.join(pairs)}"
            setting = f"exchanges.{code}.instruments"
        else:
            exchanges = sorted({exchange for exchange, _, _ in self._by_pair})
            problem = f"Unknown exchange {code!r}. Available: {', '.join(exchanges) or 'none'}"
            setting = f"a table [exchanges.{code}]"
        raise NotFound(f"{problem}. To add it, edit {setting} in {config_path()} and run: coinwatch migrate")


def load_instrument_lookup(engine: Engine) -> InstrumentLookup:
    """Read all instruments. Raises DatabaseError."""
    with transaction(engine) as connection:
        found = connection.execute(statement("prices/catalog/select_instruments")).all()
    return InstrumentLookup(
        KnownInstrument(row.instrument_id, Instrument(row.exchange, row.base, row.quote, row.symbol)) for row in found
    )


def plain_symbol(symbol: str) -> str:
    """A symbol without separators, in uppercase: btc-usdt, BTC/USDT and BTCUSDT become BTCUSDT."""
    return re.sub(r"[^A-Z0-9]", "", symbol.upper())
