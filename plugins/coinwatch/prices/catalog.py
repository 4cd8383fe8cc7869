"""What is watched: exchanges, coins and instruments, from the configuration into the tables and back."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy import Connection, Engine

from coinwatch import __version__
from coinwatch.database import Lock, acquire_lock, fetch_rows, statement, transaction
from coinwatch.errors import NotFound
from coinwatch.exchanges.models import Instrument
from coinwatch.exchanges.registry import open_exchange
from coinwatch.settings import Settings

INDEX = "index"
INDEX_NAME = "Index (median of exchanges)"
DOLLAR_LIKE = ("USD", "USDT", "USDC")


@dataclass(frozen=True, slots=True)
class FoundInstrument:
    """An instrument of the tables, found by what a person typed."""

    instrument_id: int
    exchange: str
    base: str
    quote: str

    @property
    def pair(self) -> str:
        return f"{self.base}/{self.quote}"


def sync_catalog(engine: Engine, settings: Settings, *, force: bool = False) -> None:
    """Write the configured exchanges, coins and instruments to the tables; what left them is switched off.

    Safe to run at any time and often: nothing happens while the configuration is the one written last, unless
    ``force``. Exchanges keep their switch; history is never removed.
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
    """Codes of the exchanges to fetch from, sorted; never the index."""
    with transaction(engine) as connection:
        return list(connection.execute(statement("prices/catalog/select_enabled_exchanges")).scalars())


def find_exchange_id(connection: Connection, exchange: str) -> int | None:
    """The id of an exchange in the tables, None when it is not there."""
    status = connection.execute(
        statement("prices/catalog/select_exchange_status"), {"exchange": exchange}
    ).one_or_none()
    return None if status is None else int(status.id)


def list_watched_instruments(connection: Connection, exchange: str) -> dict[Instrument, int]:
    """Instruments to fetch from one exchange, with their ids."""
    rows = connection.execute(statement("prices/catalog/select_watched_instruments"), {"exchange": exchange})
    return {Instrument(row.exchange, row.base, row.quote, row.symbol): row.instrument_id for row in rows}


def find_watched_instruments(connection: Connection, exchange: str, pairs: Sequence[str]) -> list[int]:
    """Ids of the instruments that a person names at one exchange: BTC/USD, in any case; all watched ones when none is
    named. NotFound says what there is."""
    known = {instrument.pair: found for instrument, found in list_watched_instruments(connection, exchange).items()}
    if find_exchange_id(connection, exchange) is None:
        raise NotFound(_what_there_is(connection, "", exchange))
    for pair in pairs:
        if pair.upper() not in known:
            watched = ", ".join(known) or "nothing"
            raise NotFound(f"{pair} is not watched at {exchange}. Watched there: {watched}.")
    return [known[pair.upper()] for pair in pairs] if pairs else list(known.values())


def find_instrument(
    connection: Connection, coin: str, exchange: str | None = None, quote: str | None = None
) -> FoundInstrument:
    """The instrument a person means: ``coin`` by code or name, at ``exchange`` (the index when None).

    Without ``quote`` the dollar comes first, then USDT, then USDC. Raises NotFound with what there is.
    """
    where = (exchange or INDEX).strip().lower()
    parameters = {"coin": coin.strip(), "exchange": where}
    found = fetch_rows(connection, "prices/catalog/find_instruments", parameters, FoundInstrument)
    wanted = quote.strip().upper() if quote else None
    for instrument in found:
        if wanted in {None, instrument.quote}:
            return instrument
    if found:
        priced_in = ", ".join(instrument.quote for instrument in found)
        raise NotFound(f"{coin} is not priced in {wanted} at {where}, but in {priced_in}.")
    raise NotFound(_what_there_is(connection, coin, where))


def set_exchange_enabled(engine: Engine, code: str, enabled: bool) -> None:
    """Switch an exchange on or off for all coming cycles; NotFound when there is none of that code."""
    with transaction(engine) as connection:
        changed = connection.execute(
            statement("prices/catalog/set_exchange_enabled"), {"exchange": code, "enabled": enabled}
        )
        if changed.rowcount == 0:
            raise NotFound(f"There is no exchange {code!r} in the tables. See: coinwatch exchanges list")


def list_unprobed_exchanges(engine: Engine, settings: Settings) -> list[str]:
    """Configured exchanges whose switch is ``auto`` and has not been decided yet."""
    with transaction(engine) as connection:
        unprobed = connection.execute(statement("prices/catalog/select_unprobed_exchanges")).scalars()
        return [code for code in unprobed if code in settings.exchanges and settings.exchanges[code].enabled == "auto"]


def record_probes(engine: Engine, answers: Mapping[str, bool], now: datetime) -> None:
    """Switch exchanges on or off by their first probe; a later probe changes nothing."""
    with transaction(engine) as connection:
        for code, answered in answers.items():
            parameters = {"exchange": code, "enabled": answered, "now": now}
            connection.execute(statement("prices/catalog/record_probe"), parameters)


def _fingerprint(settings: Settings) -> str:
    """Changes with the configured coins and exchanges, and with our own version, which may name symbols anew."""
    watched = [__version__, *(repr(item) for item in settings.coins.items())]
    watched += [repr((code, exchange.model_dump(exclude={"api_key"}))) for code, exchange in settings.exchanges.items()]
    return sha256("\n".join(watched).encode()).hexdigest()


def _configured_instruments(settings: Settings) -> list[Instrument]:
    """Every configured instrument, and an index instrument for each pair in a dollar-like currency."""
    instruments = []
    for code, exchange in settings.exchanges.items():
        with closing(open_exchange(code, settings)) as adapter:
            for pair in dict.fromkeys(exchange.instruments):
                base, _, quote = pair.partition("/")
                instruments.append(Instrument(code, base, quote, adapter.symbol_for(base, quote)))
    pairs = dict.fromkeys((item.base, item.quote) for item in instruments if item.quote in DOLLAR_LIKE)
    return instruments + [Instrument(INDEX, base, quote, f"{base}/{quote}") for base, quote in pairs]


def _what_there_is(connection: Connection, coin: str, exchange: str) -> str:
    exchanges = list(connection.execute(statement("prices/catalog/select_exchange_codes")).scalars())
    if exchange not in exchanges:
        return (
            f"There is no exchange {exchange!r}. Known: {', '.join(exchanges) or 'none yet (run coinwatch migrate)'}."
        )
    coins = connection.execute(statement("prices/catalog/select_watched_coins"), {"exchange": exchange}).scalars()
    return f"{coin!r} is not watched at {exchange}. Watched there: {', '.join(coins) or 'nothing'}."
