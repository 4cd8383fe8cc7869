"""The adapter of each configured exchange: the one place to register a new adapter."""

from collections.abc import Callable
from importlib import import_module

from coinwatch.clock import Clock, utc_now
from coinwatch.coin_settings import ExchangeSettings
from coinwatch.errors import ConfigurationError
from coinwatch.exchanges.models import Exchange
from coinwatch.settings import Settings

# Adapter name -> module and class, imported on first use because ccxt alone takes over a second.
ADAPTERS = {
    "coinnews": "coinwatch.exchanges.coinnews:Coinnews",
    "coingecko": "coinwatch.exchanges.coingecko:CoinGecko",
    "binance": "coinwatch.exchanges.binance:Binance",
    "coinbase": "coinwatch.exchanges.coinbase:Coinbase",
    "kraken": "coinwatch.exchanges.kraken:Kraken",
    "ccxt": "coinwatch.exchanges.ccxt_adapter:CcxtAdapter",
}


def open_exchange(code: str, settings: Settings, clock: Clock = utc_now) -> Exchange:
    """The adapter of the configured exchange ``code``; raises ConfigurationError if there is none."""
    exchange = settings.exchanges.get(code)
    if exchange is None:
        raise ConfigurationError(
            f"Exchange {code!r} is not in the configuration. Configured exchanges: {', '.join(settings.exchanges)}."
        )
    adapter = exchange.adapter or code
    if adapter not in ADAPTERS:
        raise ConfigurationError(
            f"exchanges.{code} has no adapter of this name. Set exchanges.{code}.adapter to one of "
            f"{', '.join(ADAPTERS)}; 'ccxt' also needs ccxt_id."
        )
    module, _, name = ADAPTERS[adapter].partition(":")
    factory: Callable[[str, ExchangeSettings, Settings, Clock], Exchange] = getattr(import_module(module), name)
    return factory(code, exchange, settings, clock)


def import_adapters() -> None:
    """Import the adapters of this package ahead of their first use; ccxt takes too long for that."""
    for adapter, path in ADAPTERS.items():
        if adapter != "ccxt":
            import_module(path.partition(":")[0])
