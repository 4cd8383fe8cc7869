"""Rates between currencies, from recorded prices: what the overview needs to show prices in another currency."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from coinwatch.codes import DOLLAR_LIKE
from coinwatch.prices.history.markets import MarketPrice, main_markets
from coinwatch.time_range import DAY

COINS = ("BTC", "ETH")  # offered as currencies although nothing needs to be priced in them


@dataclass(frozen=True, slots=True)
class Rate:
    """The value of a currency in US dollars, for which stablecoins count, and what it was derived from."""

    currency: str
    usd: float
    source: str
    observed_at: datetime


def find_rates(prices: Sequence[MarketPrice], now: datetime) -> list[Rate]:
    """The rates of all currencies in which something is priced and of COINS, sorted by name; without the dollar's.

    A coin's is its price in dollars. Another currency's is the price of a coin in dollars divided by its price in that
    currency, for the first coin with both. Prices more than a day old are not used, nor simulated next to real ones.
    """
    fresh = [price for price in prices if price.observed_at > now - DAY]
    in_dollars = {coin: price for coin, price in main_markets(fresh).items() if price.quote in DOLLAR_LIKE}
    rates: dict[str, Rate] = {}
    for coin in (*COINS, *{price.quote for price in fresh}):
        if coin in in_dollars and coin not in DOLLAR_LIKE:
            price = in_dollars[coin]
            rates[coin] = Rate(coin, price.price, f"{coin}/{price.quote}, {price.exchange_name}", price.observed_at)
    for price in fresh:
        dollars = in_dollars.get(price.base)
        if (
            dollars is None
            or price.quote in rates
            or price.quote in DOLLAR_LIKE
            or price.simulated != dollars.simulated
        ):
            continue
        source = f"{price.base}/{dollars.quote} divided by {price.base}/{price.quote}, {price.exchange_name}"
        oldest = min(dollars.observed_at, price.observed_at)
        rates[price.quote] = Rate(price.quote, dollars.price / price.price, source, oldest)
    return sorted(rates.values(), key=lambda rate: rate.currency)
