"""Settings: precedence, validation and error messages."""

from pathlib import Path

import pytest

from coinwatch.errors import ConfigurationError
from coinwatch.settings import EXAMPLE_SECRET, CoinSettings, ExchangeSettings, Settings, load_settings
from local import environment_file

TOML = """
[coins]
BTC = { name = "Bitcoin" }
[exchanges.kraken]
name = "Kraken"
instruments = ["BTC/USD"]
"""


def load_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, **environment: str) -> Settings:
    path = tmp_path / "coinwatch.toml"
    path.write_text(text)
    monkeypatch.setenv("COINWATCH_CONFIG", str(path))
    for name, value in environment.items():
        monkeypatch.setenv(f"COINWATCH_{name}", value)
    return load_settings()


def test_shipped_configuration_is_valid() -> None:
    settings = load_settings()
    assert len(settings.exchanges["coinnews"].instruments) >= 7
    assert {exchange.enabled for code, exchange in settings.exchanges.items() if code != "coinnews"} == {"auto"}


def test_environment_overrides_single_fields_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_from(
        tmp_path,
        monkeypatch,
        TOML,
        EXCHANGES__KRAKEN__BASE_URL="http://127.0.0.1:9/",
        SMTP_URL="smtps://mail.example.org",
    )
    assert settings.exchanges["kraken"].base_url == "http://127.0.0.1:9"
    assert settings.exchanges["kraken"].instruments == ["BTC/USD"]
    assert settings.smtp_url.get_secret_value() == "smtps://mail.example.org"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("BTC/USD", "BTCUSD"), r"exchanges\.kraken\.instruments.*'BTCUSD' is not a pair such as BTC/USD"),
        (("BTC/USD", "XMR/USD"), r"XMR in XMR/USD is not a configured coin. Add a \[coins.XMR\] table"),
        (('name = "Kraken"', 'nmae = "Kraken"'), r"exchanges\.kraken\.(name|nmae)"),
        (('instruments = ["BTC/USD"]', "instruments = []"), r"exchanges\.kraken\.instruments"),
        (("[exchanges.kraken]", "[exchanges.index]"), r"'index' is reserved"),
        (('name = "Kraken"', 'name = "K"\nadapter = "ccxt"'), r"exchanges\.kraken\.ccxt_id"),
        (('name = "Kraken"', 'name = "K"\ntimeout_seconds = 0'), r"exchanges\.kraken\.timeout_seconds"),
        (("[coins]", "[coins"), r"Can't read the settings"),
    ],
)
def test_invalid_file_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: tuple[str, str], named: str
) -> None:
    assert change[0] in TOML
    with pytest.raises(ConfigurationError, match=named):
        load_from(tmp_path, monkeypatch, TOML.replace(*change))


@pytest.mark.parametrize(
    ("variable", "value"),
    [("STATSD_PORT", "70000"), ("COLLECT_SCHEDULE_MINUTES", "soon"), ("PUBLIC_URL", "coinwatch.example.org")],
)
def test_invalid_variable_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"COINWATCH_{variable}"):
        load_from(tmp_path, monkeypatch, TOML, **{variable: value})


@pytest.mark.parametrize(
    ("retention", "max_age", "minimum"), [("1", "0.5", 2), ("30", "30", 31), ("90", "365", 366), ("7", "6.5", 8)]
)
def test_retention_must_exceed_the_maximum_age_of_quotes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, retention: str, max_age: str, minimum: int
) -> None:
    with pytest.raises(
        ConfigurationError, match=f"PRICE_RETENTION_DAYS is {retention}; the minimum is {minimum}, or 0"
    ):
        load_from(tmp_path, monkeypatch, TOML, PRICE_RETENTION_DAYS=retention, QUOTE_MAX_AGE_DAYS=max_age)
    for enough in (str(minimum), "0"):
        settings = load_from(tmp_path, monkeypatch, TOML, PRICE_RETENTION_DAYS=enough, QUOTE_MAX_AGE_DAYS=max_age)
        assert settings.price_retention_days == int(enough)


def test_invalid_secret_is_reported_without_its_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_from(tmp_path, monkeypatch, TOML, SECRET_KEY="change-me-please")
    with pytest.raises(ConfigurationError, match="COINWATCH_SECRET_KEY is an example") as caught:
        settings.require("secret_key")
    assert "please" not in str(caught.value)
    assert "change-me" not in repr(settings)
    with pytest.raises(ConfigurationError, match="COINWATCH_API_TOKEN is not set"):
        settings.require("api_token")


def test_missing_file_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COINWATCH_CONFIG", str(tmp_path / "none.toml"))
    with pytest.raises(ConfigurationError, match=r"none\.toml"):
        load_settings()


def test_every_field_has_a_description() -> None:
    for model in (Settings, ExchangeSettings, CoinSettings):
        assert [name for name, field in model.model_fields.items() if not field.description] == []


def test_example_secrets_match_the_local_stack() -> None:
    assert environment_file.EXAMPLE == EXAMPLE_SECRET
