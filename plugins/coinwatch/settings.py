"""Settings from the environment, ``.env`` and ``config/coinwatch.toml``, validated when they are loaded.

The environment overrides ``.env``, which overrides the TOML file. Nested fields use two underscores:
``COINWATCH_EXCHANGES__BINANCE__BASE_URL``. Invalid settings raise ConfigurationError, which names the field, its value
(unless it may be secret) and where to change it.
"""

import re
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from math import ceil
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from coinwatch.addresses import parse_sender
from coinwatch.codes import code_key
from coinwatch.coin_settings import CoinSettings, ExchangeSettings, check_coins_and_exchanges
from coinwatch.errors import ConfigurationError
from coinwatch.setting_sources import CoinsAsInFile, TomlSource, config_path, env_path
from coinwatch.setting_values import BaseUrl, BounceAddress, Code, Host, HttpUrl, Networks, Origins, check_secret
from coinwatch.smtp_url import parse_smtp_url

MIN_PRICE_RETENTION_DAYS = 2
# Guessing one of these gives access to subscribers' data.
GENERATED_SECRETS = ("secret_key", "api_token")


class Settings(BaseSettings):
    """All settings. A field's environment variable is its name in capitals, prefixed with ``COINWATCH_``."""

    model_config = SettingsConfigDict(
        env_prefix="COINWATCH_",
        env_nested_delimiter="__",
        extra="ignore",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    database_url: SecretStr | None = Field(
        None,
        description="PostgreSQL URL of the role that reads and writes: "
        "`postgresql://user:password@host:port/coinwatch`.",
    )
    database_owner_url: SecretStr | None = Field(
        None,
        description="URL of the role that owns the tables, used by `coinwatch migrate`. "
        "Default: COINWATCH_DATABASE_URL.",
    )
    database_reader_url: SecretStr | None = Field(
        None,
        description="URL of the role that reads views only, used by Grafana. Created by `coinwatch setup-database`.",
    )
    database_admin_url: SecretStr | None = Field(
        None, description="URL of a role that may create roles and databases, used by `coinwatch setup-database` only."
    )

    statsd_host: Host = Field("127.0.0.1", description="StatsD host, a name or an address such as `::1`.")
    statsd_port: int = Field(18125, ge=1, le=65535, description="StatsD port (TCP).")
    graphite_url: HttpUrl = Field("http://127.0.0.1:18080", description="URL of graphite-web.")

    smtp_url: SecretStr = Field(
        SecretStr("smtp://127.0.0.1:11025?tls=none"),
        description="Mail server. `smtp://user:password@host:587` requires STARTTLS, `smtps://…` uses TLS from the "
        "start, `?tls=none` is for a mail catcher on this machine.",
    )
    email_from: str = Field("coinwatch <coinwatch@localhost>", description="Sender of all emails.")
    bounce_address: BounceAddress | None = Field(
        None,
        description="Address for [bounces](email.md#bounces), such as `bounces@example.org`. The envelope sender of "
        "each email is then `bounces+TOKEN@example.org`; the domain's mail server must accept such addresses. "
        "Default: the address in COINWATCH_EMAIL_FROM.",
    )
    public_url: BaseUrl = Field(
        "http://127.0.0.1:18000", description="URL of the standalone web app, used for links in emails."
    )
    web_workers: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes of the standalone web app. Each takes about 150 MB of memory and counts limits on "
        "reading separately.",
    )
    web_statement_seconds: float = Field(
        15.0,
        ge=1,
        le=600,
        description="Seconds after which a query of the web app is canceled, so that no page waits longer for a busy "
        "or locked database.",
    )
    legacy_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="Second port of the standalone web app, for programs that expect it there: Crypto Prices Tracker "
        "used 5001 ([recipes](recipes.md)). Default: none.",
    )
    trusted_proxies: Networks = Field(
        "127.0.0.1, ::1",
        description="Addresses or networks of [reverse proxies](reverse-proxy.md), separated by commas, whose "
        "X-Forwarded-For says which client sent a request.",
    )
    requests_per_minute: int = Field(
        1200,
        ge=0,
        le=1_000_000,
        description="Maximum requests from one network or API key per minute to each process of the web app; history, "
        "candles and backtests count as 5. 0 means no limit.",
    )
    cors_origins: Origins = Field(
        "",
        description="Other sites whose scripts may use the API, separated by commas, such as "
        "`https://dashboard.example.org`; `*` lets every site read it. Default: none.",
    )
    stream_connections: int = Field(
        2000,
        ge=1,
        le=100_000,
        description="Maximum open [streams](streaming.md) of one server process. Each open page has one.",
    )
    stream_connections_per_address: int = Field(
        50,
        ge=1,
        le=100_000,
        description="Maximum open streams of one address (IPv6: of a /64 network). Raise it if many people share an "
        "address.",
    )
    alerts_file: Path = Field(Path("alerts.txt"), description="File to which a line is appended for each alert.")
    emails_per_day_per_address: int = Field(
        50,
        ge=0,
        le=100_000,
        description="Maximum alert emails to one address within 24 hours. Further alerts are held and sent together "
        "later. 0 means no limit.",
    )
    emails_per_day: int = Field(
        0,
        ge=0,
        le=100_000_000,
        description="Maximum emails of all kinds within 24 hours, as your email provider allows. Further emails wait "
        "in the outbox. 0 means no limit.",
    )
    channels_enabled: bool = Field(
        False,
        description="Send alerts to other channels (webhook, Telegram, Slack, ntfy …) set with `coinwatch channel`. "
        "Requires the extra `coinwatch[channels]`.",
    )
    webhooks_enabled: bool = Field(
        True, description="Let subscribers enter a [webhook](webhooks.md) of their own, to which their alerts are sent."
    )
    webhooks_allow_private: bool = Field(
        False,
        description="Let webhooks lead to private addresses and use plain http. Any subscriber can then make this "
        "server send requests into its own network.",
    )
    outbox_retention_days: int = Field(
        90,
        ge=0,
        le=36500,
        description="Days after which sent, failed and dropped emails are deleted. Their alerts are kept. 0 keeps them "
        "forever.",
    )

    audit_retention_days: int = Field(
        365,
        ge=0,
        le=36500,
        description="Days after which entries of the audit log are deleted. 0 keeps them forever.",
    )

    secret_key: SecretStr | None = Field(None, description="Key that signs the links in emails.")
    api_token: SecretStr | None = Field(
        None, description="Bearer token that gives operators access to the standalone web app."
    )

    collect_schedule_minutes: float = Field(
        3.0, ge=0.05, le=1440, description="Minutes between two runs of the DAG `collect_prices`."
    )
    index_freshness_seconds: float = Field(
        600.0, gt=0, description="Maximum age of prices that enter the index, in seconds."
    )
    unconfirmed_jump_percent: float = Field(
        20.0,
        ge=0,
        le=90,
        description="A price that is further than this from the exchange's last one waits until its next price or "
        "another exchange confirms it ([index](index.md)). 0 accepts every price at once.",
    )
    alert_max_age_minutes: float = Field(
        60.0,
        gt=0,
        le=7 * 24 * 60,
        description="An alert is late if its price is older than this when it is evaluated, for example after an "
        "outage. Late alerts are included in the next email instead of being sent on their own.",
    )
    quote_max_age_days: float = Field(30.0, gt=0, description="Quotes older than this are rejected, in days.")
    export_path: str | None = Field(
        None,
        description="Where the DAG `export_history` writes each day as Parquet: a folder, `s3://…` or `gs://…` "
        "([data lake](data-lake.md)). If not set, nothing is exported.",
    )
    history_days: int = Field(
        365,
        ge=0,
        le=3650,
        description="Days of [history](backfill.md) fetched for each new instrument: minutes of the last 30 days, "
        "hours and days before that. 0 fetches none.",
    )
    gap_after_cycles: float = Field(
        3.0, ge=1, le=1000, description="Cycles without a price after which an instrument has a [gap](gaps.md)."
    )
    price_retention_days: int = Field(
        90,
        ge=0,
        le=36500,
        description="Days after which prices are dropped, once they are stored in candles, which are kept. At least 2, "
        "and at least a day more than COINWATCH_QUOTE_MAX_AGE_DAYS. 0 keeps prices forever.",
    )
    task_log_retention_days: int = Field(
        7, ge=0, le=36500, description="Days after which Airflow's task logs are deleted. 0 keeps them forever."
    )
    dag_run_retention_days: int = Field(
        30,
        ge=0,
        le=36500,
        description="Days after which Airflow's runs, and all else that `airflow db clean` removes, are deleted. "
        "0 keeps them forever.",
    )

    quality_stale_cycles: float = Field(
        3.0,
        ge=1,
        description="Cycles of its exchange without a new quote after which an instrument is reported as stale.",
    )
    quality_disagreement_percent: float = Field(
        3.0,
        gt=0,
        description="A price is reported if it differs from the median of all exchanges by at least this many percent.",
    )
    quality_frozen_minutes: float = Field(
        60.0,
        ge=5,
        le=1440,
        description="Minutes without a change after which a price is reported as frozen, if other exchanges' prices "
        "have changed.",
    )

    coins: dict[Code, CoinSettings] = Field(default_factory=dict, description="Coins by code.")
    exchanges: dict[str, ExchangeSettings] = Field(default_factory=dict, description="Exchanges by code.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = TomlSource(settings_cls, toml_file=config_path())
        codes = {code_key(str(code)): str(code) for code in toml().get("coins", {})}
        environment, dotenv = (CoinsAsInFile(settings_cls, each, codes) for each in (env_settings, dotenv_settings))
        return init_settings, environment, dotenv, toml

    @property
    def quote_gauge_max_age_seconds(self) -> float:
        """Prices older than this (three cycles, at least a minute) are not sent as gauges."""
        return max(60.0, 3 * self.collect_schedule_minutes * 60)

    @property
    def trusted_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks in COINWATCH_TRUSTED_PROXIES."""
        return _parse_networks(self.trusted_proxies)

    @property
    def allowed_origins(self) -> frozenset[str]:
        """The origins in COINWATCH_CORS_ORIGINS."""
        return _parse_origins(self.cors_origins)

    def require(self, name: str) -> str:
        """Return the value of a secret setting. Raises ConfigurationError if it is missing, short or an example."""
        value = getattr(self, name)
        secret = value.get_secret_value() if isinstance(value, SecretStr) else ""
        if not secret.strip():
            raise ConfigurationError(
                f"COINWATCH_{name.upper()} is not set. Set it in the environment or in {env_path()}."
            )
        if name in GENERATED_SECRETS:
            try:
                check_secret(secret.strip())
            except ValueError as error:
                raise ConfigurationError(f"COINWATCH_{name.upper()} {error}") from None
        return secret


def load_settings(**overrides: object) -> Settings:
    """Read and validate all settings. Raises ConfigurationError, which lists all invalid fields."""
    path = config_path()
    if not path.is_file():
        raise ConfigurationError(f"The configuration file {path} doesn't exist. Set COINWATCH_CONFIG to its path.")
    try:
        settings = Settings(_env_file=env_path(), _env_file_encoding="utf-8-sig", **overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        raise ConfigurationError(_explain(error)) from None
    except ValueError as error:  # a TOML or .env file that does not parse
        raise ConfigurationError(f"Can't read the settings in {path} or {env_path()}: {error}") from None
    check_coins_and_exchanges(settings.coins, settings.exchanges)
    _check_retention(settings)
    for name in GENERATED_SECRETS:
        if getattr(settings, name) and getattr(settings, name).get_secret_value().strip():
            settings.require(name)
    _check_email(settings)
    return settings


@lru_cache
def _parse_networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(network.strip()) for network in text.split(","))


@lru_cache
def _parse_origins(text: str) -> frozenset[str]:
    return frozenset(text.split(", ")) if text else frozenset()


@lru_cache
def get_settings() -> Settings:
    """Return the settings of this process, read once."""
    return load_settings()


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_url=False):
        field = ".".join(str(part) for part in problem["loc"])
        variable = "COINWATCH_" + "__".join(str(part) for part in problem["loc"]).upper()
        # A field that doesn't exist may be the misspelled name of a secret.
        shown = problem["type"] != "extra_forbidden" and _may_be_shown(field, problem["input"])
        value = f", not {problem['input']!r}" if shown else ""
        message = problem["msg"].removeprefix("Value error, ")
        lines.append(f"{field}: {message}{value} (in {config_path()} or {variable})")
    return "Invalid settings:\n  " + "\n  ".join(lines)


def _may_be_shown(field: str, value: object) -> bool:
    """Whether an error may contain the value: not a secret, nothing below ``exchanges``, and no table."""
    is_secret = re.search(r"^exchanges\b|url|key|token|secret|password", field)
    return not is_secret and isinstance(value, str | int | float)


def _check_email(settings: Settings) -> None:
    """Check the mail server's URL and the sender, which would otherwise fail only when the first email is sent."""
    parse_smtp_url(settings.smtp_url.get_secret_value())
    try:
        parse_sender(settings.email_from)
    except ValueError as error:
        raise ConfigurationError(
            f"COINWATCH_EMAIL_FROM is {settings.email_from!r}. {error} Write it as coinwatch <alerts@example.org>."
        ) from None


def _check_retention(settings: Settings) -> None:
    """Check that prices are kept as long as rules, pages and late quotes need them."""
    retention, max_age = settings.price_retention_days, settings.quote_max_age_days
    minimum = max(MIN_PRICE_RETENTION_DAYS, ceil(max_age) + 1)
    if 0 < retention < minimum:
        raise ConfigurationError(
            f"COINWATCH_PRICE_RETENTION_DAYS is {retention}; the minimum is {minimum}, or 0 to keep prices forever. "
            f"Changes over 24 hours need up to two days of prices, and quotes are accepted up to {max_age:g} days late "
            "(COINWATCH_QUOTE_MAX_AGE_DAYS)."
        )
