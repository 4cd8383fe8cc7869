"""Codes that an exchange uses for another coin than everybody else: Kraken's LUNA is Terra Classic, which is LUNC here.

The tables are those of ccxt (``commonCurrencies``). A test compares them with the installed version, so that an update
of ccxt shows what has changed. Adapters that use ccxt need no table.
"""

from collections.abc import Mapping

# Exchange -> its own code, as in the names of its pairs -> the common code.
EXCHANGE_CODES: Mapping[str, Mapping[str, str]] = {
    "kraken": {
        "XBT": "BTC",
        "XDG": "DOGE",
        "LUNA": "LUNC",
        "LUNA2": "LUNA",
        "REPV2": "REP",
        "REP": "REPV1",
        "UST": "USTC",
        "FEE": "KFEE",
    },
    "coinbase": {"CGLD": "CELO"},
    "binance": {"YOYO": "YOYOW"},
}
# Other names of an exchange's assets: Kraken's oldest ones have a prefix.
OLD_NAMES: Mapping[str, Mapping[str, str]] = {
    "kraken": {f"X{code}": code for code in ("ETC", "ETH", "LTC", "MLN", "REP", "XLM", "XMR", "XRP", "ZEC")}
    | {f"Z{code}": code for code in ("AUD", "CAD", "EUR", "GBP", "JPY", "USD")}
    | {"XXBT": "BTC", "XXDG": "DOGE"}
}
# Old codes that no exchange uses for anything else.
ALIASES: Mapping[str, str] = {"XBT": "BTC", "BCHSV": "BSV"}


def common_code(exchange: str, code: str) -> str:
    """The common code for an exchange's own code: XBT on Kraken is BTC."""
    for table in (EXCHANGE_CODES.get(exchange, {}), OLD_NAMES.get(exchange, {}), ALIASES):
        if code in table:
            return table[code]
    return code


def exchange_code(exchange: str, code: str) -> str:
    """The exchange's code for a common code: BTC on Kraken is XBT.

    Raises ValueError if the exchange uses this code for another coin, and has none for this one.
    """
    for own, common in EXCHANGE_CODES.get(exchange, {}).items():
        if common == code:
            return own
    if (meant := common_code(exchange, code)) != code:
        raise ValueError(f"{code} means {meant} there")
    return code
