"""Which adapter speaks to which configured exchange: the one place to add a new one."""

from collections.abc import Callable
from importlib import import_module

from coinwatch.clock import Clock, utc_now
from coinwatch.errors import ConfigurationError
from coinwatch.exchanges.models import Exchange
from coinwatch.settings import ExchangeSettings, Settings

# adapter name -> module and class; imported on first use, because ccxt alone costs over a second.
ADAPTERS = {
    "coinnews": "coinwatch.exchanges.coinnews:Coinnews",
    "coingecko": "coinwatch.exchanges.coingecko:CoinGecko",
    "binance": "coinwatch.exchanges.binance:Binance",
    "coinbase": "coinwatch.exchanges.coinbase:Coinbase",
    "kraken": "coinwatch.exchanges.kraken:Kraken",
    "ccxt": "coinwatch.exchanges.ccxt_adapter:CcxtAdapter",
}


def open_exchange(code: str, settings: Settings, clock: Clock = utc_now) -> Exchange:
    """The adapter for the exchange ``code`` of the configuration; ConfigurationError when there is none."""
    exchange = settings.exchanges.get(code)
    if exchange is None:
        raise ConfigurationError(
            f"There is no [exchanges.{code}] in the configuration; known: {', '.join(settings.exchanges)}."
        )
    adapter = exchange.adapter or code
    if adapter not in ADAPTERS:
        raise ConfigurationError(
            f"exchanges.{code}.adapter: there is no adapter {adapter!r}. Use one of {', '.join(ADAPTERS)}, "
            f"or adapter = 'ccxt' with ccxt_id = '{adapter}'."
        )
    module, _, name = ADAPTERS[adapter].partition(":")
    factory: Callable[[str, ExchangeSettings, Settings, Clock], Exchange] = getattr(import_module(module), name)
    return factory(code, exchange, settings, clock)
