"""Settings: every wrong value is named with the place to change it, and the page that lists them is complete."""

import re
from pathlib import Path

import pytest

from coinwatch.errors import ConfigurationError
from coinwatch.settings import PROJECT_ROOT, Settings, load_settings

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


def test_the_shipped_configuration_is_sound() -> None:
    settings = load_settings()
    assert len(settings.exchanges["coinnews"].instruments) >= 7
    assert {exchange.enabled for code, exchange in settings.exchanges.items() if code != "coinnews"} == {"auto"}


def test_the_environment_wins_over_the_file_field_by_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
        (("BTC/USD", "XMR/USD"), r"unknown coin XMR. Add a \[coins.XMR\] table"),
        (('name = "Kraken"', 'nmae = "Kraken"'), r"exchanges\.kraken\.(name|nmae)"),
        (('instruments = ["BTC/USD"]', "instruments = []"), r"exchanges\.kraken\.instruments"),
        (("[exchanges.kraken]", "[exchanges.index]"), r"'index' is taken"),
        (('name = "Kraken"', 'name = "K"\nadapter = "ccxt"'), r"exchanges\.kraken\.ccxt_id"),
        (('name = "Kraken"', 'name = "K"\ntimeout_seconds = 0'), r"exchanges\.kraken\.timeout_seconds"),
        (("[coins]", "[coins"), r"cannot be read"),
    ],
)
def test_a_wrong_file_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: tuple[str, str], named: str
) -> None:
    assert change[0] in TOML
    with pytest.raises(ConfigurationError, match=named):
        load_from(tmp_path, monkeypatch, TOML.replace(*change))


@pytest.mark.parametrize(
    ("variable", "value"),
    [("STATSD_PORT", "70000"), ("COLLECT_SCHEDULE_MINUTES", "soon"), ("PUBLIC_URL", "coinwatch.example.org")],
)
def test_a_wrong_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"COINWATCH_{variable}"):
        load_from(tmp_path, monkeypatch, TOML, **{variable: value})


@pytest.mark.parametrize(
    ("keep", "max_age", "least"), [("1", "0.5", 2), ("30", "30", 31), ("90", "365", 366), ("7", "6.5", 8)]
)
def test_prices_are_kept_for_longer_than_late_ones_are_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: str, max_age: str, least: int
) -> None:
    with pytest.raises(
        ConfigurationError, match=f"PRICE_RETENTION_DAYS is {keep}, .* Set it to {least} or more, or to 0"
    ):
        load_from(tmp_path, monkeypatch, TOML, PRICE_RETENTION_DAYS=keep, QUOTE_MAX_AGE_DAYS=max_age)
    for enough in (str(least), "0"):
        settings = load_from(tmp_path, monkeypatch, TOML, PRICE_RETENTION_DAYS=enough, QUOTE_MAX_AGE_DAYS=max_age)
        assert settings.price_retention_days == int(enough)


def test_a_wrong_secret_is_named_and_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_from(tmp_path, monkeypatch, TOML, SECRET_KEY="change-me-please")
    with pytest.raises(ConfigurationError, match="COINWATCH_SECRET_KEY still holds an example") as caught:
        settings.require("secret_key")
    assert "please" not in str(caught.value)
    assert "change-me" not in repr(settings)
    with pytest.raises(ConfigurationError, match="COINWATCH_API_TOKEN is not set"):
        settings.require("api_token")


def test_a_missing_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COINWATCH_CONFIG", str(tmp_path / "none.toml"))
    with pytest.raises(ConfigurationError, match=r"none\.toml"):
        load_settings()


def test_every_setting_is_in_the_documentation() -> None:
    page = (PROJECT_ROOT / "docs" / "settings.md").read_text()
    documented = set(re.findall(r"`COINWATCH_([A-Z_]+)`", page)) | {"STATSD_PORT"}
    fields = {name.upper() for name in Settings.model_fields} - {"COINS", "EXCHANGES"}
    assert documented - {"CONFIG", "ENV_FILE", "LOG_LEVEL"} - {name for name in documented if "__" in name} == fields
