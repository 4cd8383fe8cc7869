"""Finding instruments by the names that files and people use."""

import pytest

from coinwatch.errors import NotFound
from coinwatch.exchanges.models import Instrument
from coinwatch.prices.instrument_lookup import InstrumentLookup, KnownInstrument

LOOKUP = InstrumentLookup(
    KnownInstrument(number, Instrument(exchange, *pair.split("/"), symbol))
    for number, (exchange, pair, symbol) in enumerate(
        [
            ("kraken", "LUNC/USD", "LUNAUSD"),
            ("kraken", "LUNA/USD", "LUNA2USD"),
            ("kraken", "BTC/USD", "XBTUSD"),
            ("binance", "USDT.E/USD", "USDT.EUSD"),
            ("binance", "币安人生/USDT", "币安人生USDT"),
            ("binance", "kPEPE/USDT", "kPEPEUSDT"),
            ("binance", "A-B/USDT", "A-BUSDT"),
            ("binance", "AB/USDT", "ABUSDT"),
        ]
    )
)


@pytest.mark.parametrize(
    ("exchange", "name", "pair"),
    [
        ("kraken", "LUNAUSD", "LUNC/USD"),
        ("kraken", "LUNA2USD", "LUNA/USD"),
        ("kraken", "LUNA/USD", "LUNA/USD"),
        ("kraken", "XBTUSD", "BTC/USD"),
        ("kraken", "btc-usd", "BTC/USD"),
        ("Binance", "usdt.e/usd", "USDT.E/USD"),
        ("binance", "币安人生USDT", "币安人生/USDT"),
        ("binance", "KPEPEUSDT", "kPEPE/USDT"),
        ("binance", "kpepe/usdt", "kPEPE/USDT"),
        ("binance", "A-B/USDT", "A-B/USDT"),
    ],
)
def test_instrument_is_found_by_pair_or_symbol_in_any_case(exchange: str, name: str, pair: str) -> None:
    assert LOOKUP.find(exchange, name).instrument.pair == pair


def test_symbol_of_another_coin_is_not_the_joined_pair() -> None:
    only_luna = InstrumentLookup([KnownInstrument(1, Instrument("kraken", "LUNA", "USD", "LUNA2USD"))])
    with pytest.raises(NotFound, match="LUNAUSD is not tracked on kraken"):
        only_luna.find("kraken", "LUNAUSD")


def test_ambiguous_symbol_is_rejected_with_the_pairs() -> None:
    with pytest.raises(NotFound, match="may be any of A-B/USDT, AB/USDT"):
        LOOKUP.find("binance", "ABUSDT")


def test_unknown_exchange_says_what_to_add_to_the_configuration() -> None:
    with pytest.raises(NotFound, match=r"To import it, add a table \[exchanges\.gemini\] to .*coinwatch\.toml and run"):
        LOOKUP.find("gemini", "BTCUSD")
