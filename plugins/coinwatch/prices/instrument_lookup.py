"""Finding instruments by pair (BTC/USDT), joined pair (BTCUSDT) or the exchange's own symbol (XBTUSD)."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Engine

from coinwatch.codes import code_key
from coinwatch.database import statement, transaction
from coinwatch.errors import NotFound
from coinwatch.exchanges.exchange_codes import common_code
from coinwatch.exchanges.models import Instrument
from coinwatch.setting_sources import config_path


class KnownInstrument(NamedTuple):
    """A stored instrument, watched or not, with its id."""

    instrument_id: int
    instrument: Instrument


class InstrumentLookup:
    """All stored instruments, read once."""

    def __init__(self, found: Iterable[KnownInstrument]) -> None:
        self._by_pair: dict[tuple[str, str], KnownInstrument] = {}
        # An exchange's own symbol comes first: Kraken's LUNAUSD is LUNC/USD, not the pair LUNA/USD.
        self._by_symbol: dict[tuple[str, str], list[KnownInstrument]] = defaultdict(list)
        self._by_joined_pair: dict[tuple[str, str], list[KnownInstrument]] = defaultdict(list)
        for known in found:
            exchange, base, quote, symbol = (
                getattr(known.instrument, name) for name in ("exchange", "base", "quote", "symbol")
            )
            self._by_pair[exchange, code_key(known.instrument.pair)] = known
            self._by_symbol[exchange, plain_symbol(symbol)].append(known)
            if (common_code(exchange, base), common_code(exchange, quote)) == (base, quote):
                self._by_joined_pair[exchange, plain_symbol(base + quote)].append(known)

    def get(self, exchange: str, base: str, quote: str) -> KnownInstrument | None:
        """The instrument with these codes; None if it does not exist."""
        return self._by_pair.get((exchange, code_key(f"{base}/{quote}")))

    def find(self, exchange: str, symbol: str) -> KnownInstrument:
        """The instrument with any form of its symbol. Raises NotFound, which says how to add it."""
        code, plain = exchange.strip().lower(), plain_symbol(symbol)
        known = self._by_pair.get((code, code_key(symbol)))
        if known is not None:
            return known
        found = self._by_symbol.get((code, plain)) or self._by_joined_pair.get((code, plain)) or []
        if len(found) == 1:
            return found[0]
        if found:
            pairs = ", ".join(known.instrument.pair for known in found)
            raise NotFound(f"{symbol} on {code} may be any of {pairs}. Give the pair, with its /.")
        raise self._not_found(code, symbol)

    def _not_found(self, code: str, symbol: str) -> NotFound:
        pairs = [known.instrument.pair for (other, _), known in self._by_pair.items() if other == code]
        if pairs:
            problem = f"{symbol} is not tracked on {code}. Tracked: {', '.join(pairs)}"
            change = f"edit exchanges.{code}.instruments in"
        else:
            exchanges = sorted({exchange for exchange, _ in self._by_pair})
            problem = f"Unknown exchange {code!r}. Available: {', '.join(exchanges) or 'none'}"
            change = f"add a table [exchanges.{code}] to"
        return NotFound(f"{problem}. To import it, {change} {config_path()} and run: coinwatch migrate")


def load_instrument_lookup(engine: Engine) -> InstrumentLookup:
    """Read all instruments. Raises DatabaseError."""
    with transaction(engine) as connection:
        found = connection.execute(statement("prices/catalog/select_instruments")).all()
    return InstrumentLookup(
        KnownInstrument(row.instrument_id, Instrument(row.exchange, row.base, row.quote, row.symbol)) for row in found
    )


def plain_symbol(symbol: str) -> str:
    """A symbol's letters and digits, in uppercase: btc-usdt, BTC/USDT and BTCUSDT become BTCUSDT."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFC", symbol).upper()))
