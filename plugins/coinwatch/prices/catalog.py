"""The catalog of watched exchanges, coins and instruments, synchronized with the configuration."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy import Connection, Engine

from coinwatch import __version__
from coinwatch.audit import Actor, record
from coinwatch.codes import DOLLAR_LIKE, code_key, compose
from coinwatch.database import Lock, acquire_lock, fetch_rows, statement, transaction
from coinwatch.errors import NotFound
from coinwatch.exchanges.exchange_codes import EXCHANGE_CODES
from coinwatch.exchanges.models import Instrument
from coinwatch.exchanges.registry import open_exchange
from coinwatch.prices.unknown_names import unknown_coin, unknown_exchange
from coinwatch.settings import Settings

INDEX = "index"
INDEX_NAME = "Index (median of exchanges)"


@dataclass(frozen=True, slots=True)
class FoundInstrument:
    """A stored instrument, found by a coin, exchange and currency."""

    instrument_id: int
    exchange: str
    base: str
    quote: str

    @property
    def pair(self) -> str:
        return f"{self.base}/{self.quote}"


def sync_catalog(engine: Engine, settings: Settings, *, force: bool = False) -> None:
    """Write the configured exchanges, coins and instruments to the tables and disable those no longer configured.

    Does nothing if the configuration has not changed since the last call, unless ``force``. Operators' choices to
    enable or disable exchanges are kept, and history is never removed. Raises DatabaseError.
    """
    fingerprint = _fingerprint(settings)
    with transaction(engine) as connection:
        if (
            not force
            and connection.execute(statement("prices/catalog/select_fingerprint")).scalar_one_or_none() == fingerprint
        ):
            return
    configured = _configured_instruments(settings)
    instruments = {
        "exchanges": [instrument.exchange for instrument in configured],
        "bases": [instrument.base for instrument in configured],
        "quotes": [instrument.quote for instrument in configured],
        "symbols": [instrument.symbol for instrument in configured],
    }
    coins = {"codes": list(settings.coins), "names": [coin.name for coin in settings.coins.values()]}
    exchanges = {
        "codes": [INDEX, *settings.exchanges],
        "names": [INDEX_NAME, *(exchange.name for exchange in settings.exchanges.values())],
        "enabled": [True, *(exchange.enabled is True for exchange in settings.exchanges.values())],
        "simulated": [False, *(exchange.simulated for exchange in settings.exchanges.values())],
        "aggregators": [False, *(_is_aggregator(code, settings) for code in settings.exchanges)],
    }
    with transaction(engine) as connection:
        acquire_lock(connection, Lock.CATALOG)
        connection.execute(statement("prices/catalog/upsert_exchanges"), exchanges)
        connection.execute(statement("prices/catalog/upsert_coins"), coins)
        connection.execute(statement("prices/catalog/disable_coins"), coins)
        connection.execute(statement("prices/catalog/upsert_instruments"), instruments)
        connection.execute(statement("prices/catalog/disable_instruments"), instruments)
        connection.execute(statement("prices/catalog/update_fingerprint"), {"fingerprint": fingerprint})


def list_enabled_exchanges(engine: Engine) -> list[str]:
    """The codes of the exchanges to fetch from, sorted; never the index."""
    with transaction(engine) as connection:
        return list(connection.execute(statement("prices/catalog/select_enabled_exchanges")).scalars())


def has_only_demo_prices(engine: Engine) -> bool:
    """Whether every enabled exchange has simulated prices; False if none is enabled."""
    with transaction(engine) as connection:
        return bool(connection.execute(statement("prices/catalog/has_only_demo_prices")).scalar_one())


def find_exchange_id(connection: Connection, exchange: str) -> int | None:
    """The id of an exchange; None if it does not exist."""
    status = connection.execute(
        statement("prices/catalog/select_exchange_status"), {"exchange": exchange}
    ).one_or_none()
    return None if status is None else int(status.id)


def list_watched_instruments(connection: Connection, exchange: str) -> dict[Instrument, int]:
    """The instruments to fetch from one exchange, with their ids."""
    rows = connection.execute(statement("prices/catalog/select_watched_instruments"), {"exchange": exchange})
    return {Instrument(row.exchange, row.base, row.quote, row.symbol): row.instrument_id for row in rows}


def find_watched_instruments(connection: Connection, exchange: str, pairs: Sequence[str]) -> list[int]:
    """The ids of the watched instruments of one exchange with these pairs (BTC/USD, ignoring case), or of all of them.

    Raises NotFound, which lists the available ones or says why there are none.
    """
    exchange = _fetched(exchange)
    watched = list_watched_instruments(connection, exchange)
    known = {code_key(instrument.pair): instrument_id for instrument, instrument_id in watched.items()}
    if find_exchange_id(connection, exchange) is None:
        raise unknown_exchange(connection, exchange)
    if not watched:
        raise NotFound(
            f"Nothing is fetched from {exchange}: it is disabled, or has no instruments in the configuration. "
            f"To enable it, run: coinwatch exchanges enable {exchange}"
        )
    for pair in pairs:
        if code_key(pair) not in known:
            tracked = ", ".join(instrument.pair for instrument in watched)
            raise NotFound(f"{pair} is not tracked on {exchange}. Tracked: {tracked}.")
    return [known[code_key(pair)] for pair in pairs] if pairs else list(known.values())


def find_instrument(
    connection: Connection, coin: str, exchange: str | None = None, quote: str | None = None
) -> FoundInstrument:
    """The instrument of a ``coin`` (a code or name) on ``exchange`` (the index if None).

    Without ``quote``, US dollars are preferred, then USDT, then USDC. Raises NotFound, which lists the available ones.
    """
    exchange = (exchange or INDEX).strip().lower()
    parameters = {"coin": compose(coin.strip()), "exchange": exchange}
    found = fetch_rows(connection, "prices/catalog/find_instruments", parameters, FoundInstrument)
    for instrument in found:
        if not quote or code_key(quote) == code_key(instrument.quote):
            return instrument
    if found:
        priced_in = ", ".join(instrument.quote for instrument in found)
        raise NotFound(f"{coin} is not priced in {quote} on {exchange}. Available: {priced_in}.")
    raise unknown_coin(connection, coin, exchange)


def set_exchange_enabled(engine: Engine, code: str, enabled: bool, *, actor: Actor | None = None) -> None:
    """Enable or disable an exchange from the next cycle on. Raises NotFound if it does not exist."""
    parameters = {"exchange": _fetched(code), "enabled": enabled}
    with transaction(engine) as connection:
        changed = connection.execute(statement("prices/catalog/set_exchange_enabled"), parameters)
        if changed.rowcount == 0:
            raise unknown_exchange(connection, code)
        record(connection, actor, "exchange.enable" if enabled else "exchange.disable", parameters["exchange"])


def list_unprobed_exchanges(engine: Engine, settings: Settings) -> list[str]:
    """Exchanges configured with ``enabled = "auto"`` that have not been probed yet."""
    with transaction(engine) as connection:
        unprobed = connection.execute(statement("prices/catalog/select_unprobed_exchanges")).scalars()
        return [code for code in unprobed if code in settings.exchanges and settings.exchanges[code].enabled == "auto"]


def record_probes(engine: Engine, answers: Mapping[str, bool], now: datetime, *, actor: Actor | None = None) -> None:
    """Enable or disable exchanges by their first probe; later probes change nothing."""
    with transaction(engine) as connection:
        for code, answered in answers.items():
            parameters = {"exchange": code, "enabled": answered, "now": now}
            if connection.execute(statement("prices/catalog/record_probe"), parameters).rowcount:
                record(connection, actor, "exchange.enable" if answered else "exchange.disable", code, reason="probe")


def _fetched(exchange: str) -> str:
    """The code of an exchange that prices can be fetched from. Raises NotFound for the index."""
    code = exchange.strip().lower()
    if code == INDEX:
        raise NotFound("The index is computed from the prices of the exchanges; name one of those.")
    return code


def _fingerprint(settings: Settings) -> str:
    """A hash of the configured coins and exchanges, and of what else determines symbols: our version and tables."""
    watched = [__version__, repr(EXCHANGE_CODES), *(repr(item) for item in settings.coins.items())]
    watched += [repr((code, exchange.model_dump(exclude={"api_key"}))) for code, exchange in settings.exchanges.items()]
    return sha256("\n".join(watched).encode()).hexdigest()


def _is_aggregator(code: str, settings: Settings) -> bool:
    with closing(open_exchange(code, settings)) as adapter:
        return adapter.aggregator


def _configured_instruments(settings: Settings) -> list[Instrument]:
    """All configured instruments, and an index instrument for each pair in a dollar-like currency."""
    instruments = []
    for code, exchange in settings.exchanges.items():
        with closing(open_exchange(code, settings)) as adapter:
            for pair in dict.fromkeys(exchange.instruments):
                base, _, quote = pair.partition("/")
                instruments.append(Instrument(code, base, quote, adapter.symbol_for(base, quote)))
    pairs = dict.fromkeys((item.base, item.quote) for item in instruments if item.quote in DOLLAR_LIKE)
    return instruments + [Instrument(INDEX, base, quote, f"{base}/{quote}") for base, quote in pairs]
