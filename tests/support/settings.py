"""Settings for tests: a small fixed configuration, independent of the machine."""

from typing import Any

from coinwatch.settings import Settings

COINS = {"BTC": {"name": "Bitcoin", "coingecko_id": "bitcoin"}, "ETH": {"name": "Ethereum", "coingecko_id": "ethereum"}}


def exchange(name: str, *pairs: str, **more: object) -> dict[str, object]:
    return {"name": name, "instruments": list(pairs) or ["BTC/USD", "ETH/USD"], "enabled": True, **more}


EXCHANGES = {
    "coinnews": exchange("coinnews", simulated=True, base_url="http://127.0.0.1:1"),
    "coinbase": exchange("Coinbase", base_url="http://127.0.0.1:1"),
    "kraken": exchange("Kraken", base_url="http://127.0.0.1:1"),
    "binance": exchange("Binance", "BTC/USDT", "ETH/USDT", base_url="http://127.0.0.1:1"),
}


class FixedSettings(Settings):
    """Settings that ignore the environment and configuration files."""

    @classmethod
    def settings_customise_sources(cls, *args: Any, **sources: Any) -> Any:
        return (args[1] if len(args) > 1 else sources["init_settings"],)


def make_settings(**overrides: object) -> Settings:
    """Settings with two coins on four exchanges; ``overrides`` replace whole fields."""
    values: dict[str, object] = {
        "coins": COINS,
        "exchanges": EXCHANGES,
        "secret_key": "for-this-test-run-only",
        "email_from": "coinwatch <alerts@coinwatch.test>",
        "public_url": "https://coinwatch.test",
        "statsd_port": 1,
        "smtp_url": "smtp://127.0.0.1:1?tls=none",
    }
    return FixedSettings.model_validate(values | overrides)
