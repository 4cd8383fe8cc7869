"""Codes that an exchange uses for another coin than everybody else."""

import ccxt
import pytest

from coinwatch.exchanges.exchange_codes import EXCHANGE_CODES, OLD_NAMES, common_code, exchange_code

CCXT_IDS = {"kraken": "kraken", "coinbase": "coinbaseexchange", "binance": "binance"}


@pytest.mark.parametrize("exchange", EXCHANGE_CODES)
def test_tables_of_codes_are_those_of_ccxt(exchange: str) -> None:
    table: dict[str, str] = getattr(ccxt, CCXT_IDS[exchange])().commonCurrencies

    assert {own: common_code(exchange, own) for own in table} == table
    assert set(EXCHANGE_CODES[exchange]) | set(OLD_NAMES.get(exchange, {})) <= set(table)


@pytest.mark.parametrize(
    ("exchange", "common", "own"),
    [
        ("kraken", "LUNC", "LUNA"),
        ("kraken", "LUNA", "LUNA2"),
        ("kraken", "USTC", "UST"),
        ("kraken", "REP", "REPV2"),
        ("kraken", "BTC", "XBT"),
        ("kraken", "ETH", "ETH"),
        ("coinbase", "CELO", "CGLD"),
        ("coinbase", "BTC", "BTC"),
        ("binance", "LUNA", "LUNA"),
        ("coinbase", "BSV", "BSV"),
    ],
)
def test_code_is_translated_in_both_directions(exchange: str, common: str, own: str) -> None:
    assert exchange_code(exchange, common) == own
    assert common_code(exchange, own) == common


@pytest.mark.parametrize(
    ("exchange", "code"), [("kraken", "UST"), ("kraken", "XETH"), ("kraken", "XBT"), ("coinbase", "CGLD")]
)
def test_code_of_another_coin_has_no_translation(exchange: str, code: str) -> None:
    with pytest.raises(ValueError, match=f"{code} means {common_code(exchange, code)} there"):
        exchange_code(exchange, code)
