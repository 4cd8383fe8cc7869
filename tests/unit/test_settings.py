"""Settings: precedence, validation and error messages."""

from pathlib import Path
from traceback import format_exception

import pytest

from coinwatch.coin_settings import CoinSettings, ExchangeSettings
from coinwatch.errors import ConfigurationError
from coinwatch.setting_values import EXAMPLE_SECRET, MIN_SECRET_LENGTH
from coinwatch.settings import GENERATED_SECRETS, Settings, load_settings
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
        (("BTC/USD", "BTCUSD"), r"exchanges\.kraken\.instruments\.0: .*must be a pair such as BTC/USD"),
        (
            ("BTC/USD", "XMR/USD"),
            r"exchanges\.kraken\.instruments\.0 .*coin is not configured. Add a table \[coins.CODE\]",
        ),
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
    with pytest.raises(ConfigurationError, match="COINWATCH_SECRET_KEY is an example") as caught:
        load_from(tmp_path, monkeypatch, TOML, SECRET_KEY="change-me-please")
    assert "please" not in str(caught.value)
    settings = load_from(tmp_path, monkeypatch, TOML, SECRET_KEY="signs-links-in-this-test")
    assert "signs-links" not in repr(settings)
    with pytest.raises(ConfigurationError, match="COINWATCH_API_TOKEN is not set"):
        settings.require("api_token")


@pytest.mark.parametrize("name", ["SECRET_KEY", "API_TOKEN"])
@pytest.mark.parametrize(
    ("value", "problem"), [("a", "has 1 characters"), ("fifteen-letters", "has 15"), ("test", "example")]
)
def test_short_and_example_secrets_are_rejected_at_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, problem: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"COINWATCH_{name} .*{problem}") as caught:
        load_from(tmp_path, monkeypatch, TOML, **{name: value})
    assert "fifteen-letters" not in str(caught.value)


def test_minimum_length_of_secrets_matches_the_local_stack() -> None:
    for name in GENERATED_SECRETS:
        assert environment_file.SECRETS[f"COINWATCH_{name.upper()}"].min_length == MIN_SECRET_LENGTH


def test_byte_order_marks_are_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("\ufeffCOINWATCH_WEB_PORT=1\n\nCOINWATCH_STATSD_PORT=2\n", encoding="utf-8")
    (tmp_path / "first.env").write_text("\ufeffCOINWATCH_STATSD_PORT=3\n", encoding="utf-8")
    for name, port in ((".env", 2), ("first.env", 3)):
        monkeypatch.setenv("COINWATCH_ENV_FILE", str(tmp_path / name))
        settings = load_from(tmp_path, monkeypatch, f"\ufeff{TOML}")
        assert settings.statsd_port == port
        assert settings.exchanges["kraken"].name == "Kraken"


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("EXCHANGES__KRAKENN__API_KEY", "hunter2", r"exchanges\.krakenn\.instruments"),
        ("EXCHANGES__KRAKEN__SECRT", "hunter2", r"exchanges\.kraken\.secrt"),
        ("EXCHANGES__KRAKEN", "hunter2", r"exchanges\.kraken"),
        ("EXCHANGES__KRAKEN__BASE_URL", "https//ada:hunter2@proxy.example.org", r"exchanges\.kraken\.base_url"),
        ("EXCHANGES__KRAKEN__BASE_URL", "http://ada:hunter2@[", r"exchanges\.kraken\.base_url"),
        ("EXCHANGES__KRAKEN__TIMEOUT_SECONDS", "hunter2", r"exchanges\.kraken\.timeout_seconds"),
        ("EXCHANGES__KRAKEN__INSTRUMENTS", '["hunter2"]', r"exchanges\.kraken\.instruments\.0"),
        ("EXCHANGES__KRAKEN__INSTRUMENTS", '["hunter2/USD"]', r"exchanges\.kraken\.instruments\.0"),
        ("EXCHANGES__KRAKEN__INSTRUMENTS", "hunter2", r"exchanges"),
        ("EXCHANGES__KRAKEN__ENABLED", "hunter2", r"exchanges\.kraken\.enabled"),
        ("EXCHANGES", "hunter2", r"exchanges"),
        ("COINS", '{"BTC": {"nmae": "hunter2"}}', r"coins\.BTC"),
        ("GRAPHITE_URL", "http//ada:hunter2@graphite", r"graphite_url"),
        ("PUBLIC_URL", "https://ada:hunter2@coinwatch.example.org", r"public_url"),
    ],
)
def test_error_contains_no_value_of_an_exchange_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, named: str
) -> None:
    with pytest.raises(ConfigurationError, match=named) as caught:
        load_from(tmp_path, monkeypatch, TOML, **{variable: value})
    assert "hunter2" not in "".join(format_exception(caught.value))


COINGECKO = """
[exchanges.coingecko]
name = "CoinGecko"
instruments = ["BTC/USD", "LINK/USD"]
"""


def test_coin_without_coingecko_id_is_rejected_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    coins = TOML.replace("[coins]", '[coins]\nLINK = { name = "Chainlink" }').replace(
        'name = "Bitcoin"', 'name = "Bitcoin", coingecko_id = "bitcoin"'
    )
    with pytest.raises(ConfigurationError, match=r"coins\.LINK\.coingecko_id is not set.*API ID"):
        load_from(tmp_path, monkeypatch, coins + COINGECKO)
    with pytest.raises(ConfigurationError, match=r"coins\.LINK\.coingecko_id is not set"):
        load_from(tmp_path, monkeypatch, coins + COINGECKO.replace("coingecko]", 'cg]\nadapter = "coingecko"'))
    with pytest.raises(ConfigurationError, match=r"coins\.LINK\.coingecko_id"):
        load_from(tmp_path, monkeypatch, coins.replace('"Chainlink"', '"Chainlink", coingecko_id = ""') + COINGECKO)


def test_coin_without_coingecko_id_is_accepted_on_other_exchanges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_from(tmp_path, monkeypatch, TOML).coins["BTC"].coingecko_id is None


def test_coin_of_the_file_is_changed_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    coins = TOML.replace("[coins]", '[coins]\nkPEPE = { name = "kPepe" }')
    settings = load_from(tmp_path, monkeypatch, coins, COINS__KPEPE__COINGECKO_ID="pepe", COINS__BTC__NAME="Gold")
    assert settings.coins["kPEPE"].coingecko_id == "pepe"
    assert {code: coin.name for code, coin in settings.coins.items()} == {"kPEPE": "kPepe", "BTC": "Gold"}


@pytest.mark.parametrize(
    "coins",
    [
        'BITCOIN = { name = "HarryPotterObamaSonic10Inu" }',
        'WBTC = { name = "bitcoin" }',
        'BITCOIN = { name = "BTC" }',
    ],
)
def test_code_or_name_of_two_coins_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, coins: str) -> None:
    with pytest.raises(ConfigurationError, match=r"coins\.\w+\.name is also the code or name of \w+"):
        load_from(tmp_path, monkeypatch, TOML.replace("[coins]", f"[coins]\n{coins}"))


def test_two_coins_with_one_coingecko_id_are_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    coins = """
[coins]
BTC = { name = "Bitcoin", coingecko_id = "bitcoin" }
WBTC = { name = "Wrapped Bitcoin", coingecko_id = "bitcoin" }
"""
    with pytest.raises(ConfigurationError, match=r"coins\.WBTC\.coingecko_id is 'bitcoin', the same as that of BTC"):
        load_from(tmp_path, monkeypatch, coins)


@pytest.mark.parametrize("code", ["1INCH", "USDT.E", "币安人生", "kPEPE", "T99-X", "GTC_HT", "$WIF", "Ünit"])
def test_codes_are_letters_and_digits_of_any_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    settings = load_from(tmp_path, monkeypatch, TOML.replace("BTC =", f'"{code}" =').replace("BTC/", f"{code}/"))
    assert settings.exchanges["kraken"].instruments == [f"{code}/USD"]
    assert list(settings.coins) == [code]


@pytest.mark.parametrize("code", ["", "A B", "A/B", "<b>", "-x", "..", "x" * 21, "A\u202eB", "A\u200bB", "A'B", "A:B"])
def test_other_codes_are_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    with pytest.raises(ConfigurationError, match=r"coins\."):
        load_from(tmp_path, monkeypatch, TOML.replace("BTC =", f'"{code}" ='))
    with pytest.raises(ConfigurationError, match=r"exchanges\.kraken\.instruments\.0"):
        load_from(tmp_path, monkeypatch, TOML.replace("BTC/", f"{code}/"))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (
            TOML.replace("[exchanges", 'btc = { name = "Other" }\n[exchanges'),
            r"coins\.btc differs from the code BTC only",
        ),
        (TOML.replace('"BTC/USD"', '"BTC/EUR", "BTC/eur"'), r"instruments\.1 .*different upper and lower case"),
        (TOML.replace("BTC/USD", "BTC/usd"), r"instruments\.0 .*different upper and lower case"),
        (TOML.replace("BTC/USD", "btc/USD"), r"instruments\.0 .*coin is not configured"),
    ],
)
def test_codes_that_differ_only_in_case_are_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, named: str
) -> None:
    with pytest.raises(ConfigurationError, match=named):
        load_from(tmp_path, monkeypatch, text)


def test_codes_are_stored_in_composed_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decomposed = "U\u0308"
    settings = load_from(
        tmp_path, monkeypatch, TOML.replace("BTC =", f'"{decomposed}" =').replace("BTC/", f"{decomposed}/")
    )
    assert settings.exchanges["kraken"].instruments == ["\u00dc/USD"]
    assert list(settings.coins) == ["\u00dc"]


def test_missing_file_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COINWATCH_CONFIG", str(tmp_path / "none.toml"))
    with pytest.raises(ConfigurationError, match=r"none\.toml"):
        load_settings()


def test_every_field_has_a_description() -> None:
    for model in (Settings, ExchangeSettings, CoinSettings):
        assert [name for name, field in model.model_fields.items() if not field.description] == []


def test_example_secrets_match_the_local_stack() -> None:
    assert environment_file.EXAMPLE == EXAMPLE_SECRET


@pytest.mark.parametrize(
    ("setting", "value", "problem"),
    [
        ("EMAIL_FROM", "alerts", "'alerts'.*name@example.org"),
        ("EMAIL_FROM", "coinwatch alerts@example.org", "angle brackets.*coinwatch <alerts@example.org>"),
        ("EMAIL_FROM", "coinwatch <jörg@example.org>", "before the @ contains ö"),
        ("SMTP_URL", "mail.example.org:587", "must start with smtp:// or smtps://"),
        ("SMTP_URL", "smtps://ada:p%E4ss@mail.example.org", "not UTF-8"),
        ("BOUNCE_ADDRESS", "bounces", "bounce_address: must be an address such as bounces@example.org"),
    ],
)
def test_invalid_email_settings_are_found_at_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, value: str, problem: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"(?s)COINWATCH_{setting}.*{problem}|{problem}.*COINWATCH_{setting}"):
        load_from(tmp_path, monkeypatch, TOML, **{setting: value})


def test_sender_and_bounce_address_may_be_at_an_internationalized_domain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_from(
        tmp_path, monkeypatch, TOML, EMAIL_FROM="coinwatch <alerts@müller.example>", BOUNCE_ADDRESS="b@müller.example"
    )
    assert settings.bounce_address == "b@xn--mller-kva.example"


def test_public_url_may_be_at_an_internationalized_domain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_from(tmp_path, monkeypatch, TOML, PUBLIC_URL="https://Kurse.müller.example:8443/alerts")
    assert settings.public_url == "https://kurse.xn--mller-kva.example:8443/alerts"
