"""Settings from the environment, ``.env`` and ``config/coinwatch.toml``, validated when they are loaded.

The environment overrides ``.env``, which overrides the TOML file. Nested fields use two underscores:
``COINWATCH_EXCHANGES__BINANCE__BASE_URL``. Invalid settings raise ConfigurationError, which names the field, its value
(unless it may be secret) and where to change it.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from math import ceil
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from coinwatch.addresses import domain_in_ascii, normalize_address, parse_sender
from coinwatch.codes import DOLLAR_LIKE, code_key, parse_code, parse_pair
from coinwatch.errors import ConfigurationError
from coinwatch.smtp_url import parse_smtp_url

PROJECT_ROOT = Path(os.environ.get("COINWATCH_HOME") or Path(__file__).resolve().parents[2])
EXCHANGE_CODE = re.compile(r"[a-z0-9_]+")
# Without characters that would have to be escaped in HTML or in an email header.
BASE_URL = re.compile(r"https?://[A-Za-z0-9._~:/\[\]%-]+")
# A token is appended to the local part, which may have up to 64 characters in total.
BOUNCE_ADDRESS = re.compile(r"[A-Za-z0-9._-]{1,20}@[A-Za-z0-9.-]+")
MIN_PRICE_RETENTION_DAYS = 2
# Guessing one of these gives access to subscribers' data.
GENERATED_SECRETS = ("secret_key", "api_token")
MIN_SECRET_LENGTH = 16  # as in local/environment_file.py and docker/settings.sh
# As in local/environment_file.py and docker/settings.sh, which don't import coinwatch; a test compares them.
EXAMPLE_SECRET = re.compile(
    r"change[-_ ]?me.*|changeit|example.*|secret|password|passwort|admin|test|todo|dummy|your[-_ ].*|my[-_ ]?secret.*"
    r"|<.*>|x{3,}|\.{3,}|replace.*|insert.*|1234.*",
    re.IGNORECASE,
)


def _http_url(value: str) -> str:
    try:
        AnyHttpUrl(value)
    except ValidationError:  # its text contains the value
        raise ValueError("must be a URL that starts with http:// or https://") from None
    return value.rstrip("/")


def _base_url(value: str) -> str:
    value = _http_url(value)
    host = "" if value.isascii() else urlsplit(value).hostname or ""
    value = re.sub(re.escape(host), domain_in_ascii(host), value, count=1, flags=re.IGNORECASE) if host else value
    if not BASE_URL.fullmatch(value):
        raise ValueError("must be an address without a query, such as https://coinwatch.example.org")
    return value


def _bounce_address(value: str) -> str:
    value = normalize_address(value)
    if not BOUNCE_ADDRESS.fullmatch(value):
        raise ValueError("must be an address such as bounces@example.org, with up to 20 characters before the @")
    return value


def _networks(value: str) -> str:
    for network in value.split(","):
        try:
            ip_network(network.strip())
        except ValueError:
            raise ValueError(f"{network.strip()!r} is not an IP address or network, such as 10.0.0.0/8") from None
    return value


Code = Annotated[str, AfterValidator(parse_code)]


def _host(value: str) -> str:
    """A name or an address; an IPv6 address may be in brackets, as in a URL."""
    value = value.strip().removeprefix("[").removesuffix("]")
    if not re.fullmatch(r"[A-Za-z0-9._:%-]+", value):
        raise ValueError("must be a host name or an address, without a port")
    return value


StatsdHost = Annotated[str, AfterValidator(_host)]
Pair = Annotated[str, AfterValidator(parse_pair)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
BounceAddress = Annotated[str, AfterValidator(_bounce_address)]
Networks = Annotated[str, AfterValidator(_networks)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]


class CorporateAction(BaseModel):
    """A redenomination, or a ticker that means another coin from then on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    effective_at: AwareDatetime = Field(description="When exchanges switch, with a time zone: 2026-12-01T08:00:00Z.")
    old_per_new: float | None = Field(
        None, gt=0, description="Redenomination: how many old units become one new unit. Earlier prices are multiplied."
    )
    new_coin: bool = Field(False, description="The ticker is reused: earlier prices are those of another coin.")
    exchange: str | None = Field(None, description="Code of the only exchange that is affected. Default: all.")

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.old_per_new is None) is not self.new_coin:
            raise ValueError("needs either old_per_new (a redenomination) or new_coin = true (a reused ticker)")
        return self


class CoinSettings(BaseModel):
    """A coin. Its code, such as BTC, is the key of its table.

    A code has up to 20 letters and digits of any script and the signs `. _ - $ + ! *`; in TOML, a code with other
    characters than A-Z, a-z, 0-9, `_` and `-` is quoted: `"USDT.E" = {…}`. Every pair writes it in the same upper and
    lower case; where it is looked up (pages, API, command line), case does not matter.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Display name.")
    coingecko_id: str | None = Field(
        None,
        pattern=r"^[^\s,/?#&]+$",
        description="The coin's API ID on CoinGecko, as its page there shows it. Required if CoinGecko's instruments "
        "contain the coin: codes are not unique, so it is never guessed.",
    )
    corporate_actions: tuple[CorporateAction, ...] = Field(
        (), description="Redenominations and reuses of the ticker ([index](index.md#corporate-actions))."
    )


class ExchangeSettings(BaseModel):
    """An exchange to collect prices from. Its code, such as kraken, is the key of its table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Display name.")
    instruments: list[Pair] = Field(min_length=1, description="Pairs to collect, for example BTC/USD.")
    enabled: Literal["auto"] | bool = Field(
        "auto",
        description="Initial state. `auto` enables the exchange if the first probe reaches it. Afterwards use "
        "`coinwatch exchanges enable` and `disable`.",
    )
    adapter: str = Field(
        "", description="Adapter module. Default: the exchange's code. `ccxt` supports any exchange that ccxt knows."
    )
    base_url: HttpUrl | None = Field(None, description="URL of the API. Default: the adapter's.")
    api_key: SecretStr | None = Field(None, description="API key, for exchanges with paid plans.")
    timeout_seconds: float = Field(10.0, gt=0, le=120, description="Timeout for a complete response, in seconds.")
    minimum_interval_seconds: float | None = Field(
        None,
        ge=0,
        le=86400,
        description="Minimum time between two fetches, in seconds, if the plan requires one. Default: the adapter's.",
    )
    history_calls_per_second: float | None = Field(
        None,
        gt=0,
        le=1000,
        description="Requests per second that a [backfill](backfill.md) may make. Default: the adapter's.",
    )
    ccxt_id: str | None = Field(None, description='The exchange\'s id in ccxt. Required with `adapter = "ccxt"`.')
    simulated: bool = Field(
        False, description="Prices are simulated. The index uses them only for pairs without real prices."
    )


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

    statsd_host: StatsdHost = Field("127.0.0.1", description="StatsD host, a name or an address such as `::1`.")
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
    trusted_proxies: Networks = Field(
        "127.0.0.1, ::1",
        description="Addresses or networks of [reverse proxies](reverse-proxy.md), separated by commas, whose "
        "X-Forwarded-For says which client sent a request.",
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
    outbox_retention_days: int = Field(
        90,
        ge=0,
        le=36500,
        description="Days after which sent, failed and dropped emails are deleted. Their alerts are kept. 0 keeps them "
        "forever.",
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
        toml = _TomlSource(settings_cls, toml_file=config_path())
        codes = {code_key(str(code)): str(code) for code in toml().get("coins", {})}
        environment, dotenv = (_CoinsAsInFile(settings_cls, each, codes) for each in (env_settings, dotenv_settings))
        return init_settings, environment, dotenv, toml

    @property
    def quote_gauge_max_age_seconds(self) -> float:
        """Prices older than this (three cycles, at least a minute) are not sent as gauges."""
        return max(60.0, 3 * self.collect_schedule_minutes * 60)

    @property
    def trusted_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks in COINWATCH_TRUSTED_PROXIES."""
        return tuple(ip_network(network.strip()) for network in self.trusted_proxies.split(","))

    def require(self, name: str) -> str:
        """Return the value of a secret setting. Raises ConfigurationError if it is missing, short or an example."""
        value = getattr(self, name)
        secret = value.get_secret_value() if isinstance(value, SecretStr) else ""
        if not secret.strip():
            raise ConfigurationError(
                f"COINWATCH_{name.upper()} is not set. Set it in the environment or in {env_path()}."
            )
        if name in GENERATED_SECRETS:
            _check_secret(f"COINWATCH_{name.upper()}", secret.strip())
        return secret


class _TomlSource(TomlConfigSettingsSource):
    """Skips a byte order mark, which editors on Windows write and TOML does not allow."""

    def _read_file(self, file_path: Any) -> dict[str, Any]:
        return tomllib.loads(file_path.read_bytes().decode("utf-8-sig"))


class _CoinsAsInFile(PydanticBaseSettingsSource):
    """Spells the codes of coins as in the TOML file: names of environment variables lose their case."""

    def __init__(
        self, settings_cls: type[BaseSettings], source: PydanticBaseSettingsSource, codes: Mapping[str, str]
    ) -> None:
        super().__init__(settings_cls)
        self._source = source
        self._codes = codes

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self._source.get_field_value(field, field_name)

    def __call__(self) -> dict[str, Any]:
        found = self._source()
        if isinstance(coins := found.get("coins"), dict):
            found["coins"] = {self._codes.get(code_key(code), code): coin for code, coin in coins.items()}
        return found


def config_path() -> Path:
    """Path of the TOML file: COINWATCH_CONFIG, or config/coinwatch.toml in the project."""
    return Path(os.environ.get("COINWATCH_CONFIG") or PROJECT_ROOT / "config" / "coinwatch.toml")


def env_path() -> Path:
    """Path of the file with generated secrets: COINWATCH_ENV_FILE, or .env in the project."""
    return Path(os.environ.get("COINWATCH_ENV_FILE") or PROJECT_ROOT / ".env")


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
    _check_references(settings)
    _check_retention(settings)
    for name in GENERATED_SECRETS:
        if getattr(settings, name) and getattr(settings, name).get_secret_value().strip():
            settings.require(name)
    _check_email(settings)
    return settings


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
        lines.append(f"{field}: {problem['msg']}{value} (in {config_path()} or {variable})")
    return "Invalid settings:\n  " + "\n  ".join(lines)


def _may_be_shown(field: str, value: object) -> bool:
    """Whether an error may contain the value: not a secret, nothing below ``exchanges``, and no table."""
    is_secret = re.search(r"^exchanges\b|url|key|token|secret|password", field)
    return not is_secret and isinstance(value, str | int | float)


def _check_secret(variable: str, secret: str) -> None:
    """Raise ConfigurationError for an example or a short value, as local_run.sh and docker_run.sh do."""
    advice = "Set it to a random value: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
    if EXAMPLE_SECRET.fullmatch(secret) or "change-me" in secret.lower():
        raise ConfigurationError(f"{variable} is an example value. {advice}")
    if len(secret) < MIN_SECRET_LENGTH:
        raise ConfigurationError(
            f"{variable} has {len(secret)} characters; the minimum is {MIN_SECRET_LENGTH}. {advice}"
        )


def _check_references(settings: Settings) -> None:
    """Check that codes are valid and spelled alike, ccxt ids are set, and every pair's base is a configured coin."""
    for base, coin in settings.coins.items():
        for action in coin.corporate_actions:
            if action.exchange not in {None, *settings.exchanges}:
                raise ConfigurationError(
                    f"coins.{base}.corporate_actions: {action.exchange!r} is not a configured exchange. "
                    f"Configured exchanges: {', '.join(settings.exchanges)}."
                )
    for code, exchange in settings.exchanges.items():
        if not EXCHANGE_CODE.fullmatch(code) or code == "index":
            raise ConfigurationError(
                f"exchanges.{code}: a code consists of lowercase letters, digits and _; 'index' is reserved."
            )
        if exchange.adapter == "ccxt" and not exchange.ccxt_id:
            raise ConfigurationError(
                f"exchanges.{code}.ccxt_id is not set. Set it to the exchange's id in ccxt, for example 'bitstamp'."
            )
        for position, pair in enumerate(exchange.instruments):
            base = pair.split("/")[0]
            if base not in settings.coins:
                raise ConfigurationError(
                    f"exchanges.{code}.instruments.{position} (counted from 0): its coin is not configured. "
                    "Add a table [coins.CODE], spelled as in the pair."
                )
            if (exchange.adapter or code) == "coingecko" and settings.coins[base].coingecko_id is None:
                raise ConfigurationError(
                    f"coins.{base}.coingecko_id is not set, but exchanges.{code} collects the coin. Set it to the API "
                    f"ID on the coin's page at coingecko.com, or remove {base} from exchanges.{code}.instruments."
                )
    _check_spelling(settings)
    _check_coingecko_ids(settings.coins)


def _check_spelling(settings: Settings) -> None:
    """Check that no two codes differ only in case, which lookups ignore, and that a code or name means one coin."""
    spellings = {code_key(code): code for code in DOLLAR_LIKE}
    for coin in settings.coins:
        known = spellings.setdefault(code_key(coin), coin)
        if known != coin:
            raise ConfigurationError(f"coins.{coin} differs from the code {known} only in upper and lower case.")
    coin_of = {code_key(coin): coin for coin in settings.coins}
    for coin, fields in settings.coins.items():
        if (other := coin_of.setdefault(code_key(fields.name), coin)) != coin:
            raise ConfigurationError(
                f"coins.{coin}.name is also the code or name of {other}. Coins are found by both: change the name."
            )
    for code, exchange in settings.exchanges.items():
        for position, pair in enumerate(exchange.instruments):
            for each in pair.split("/"):
                if spellings.setdefault(code_key(each), each) != each:
                    raise ConfigurationError(
                        f"exchanges.{code}.instruments.{position} (counted from 0): a code is written elsewhere in "
                        "the configuration with different upper and lower case. Use one spelling."
                    )


def _check_coingecko_ids(coins: Mapping[str, CoinSettings]) -> None:
    """Check that no two coins have the same id: one of them would be stored with the other's price."""
    coin_of: dict[str, str] = {}
    for code, coin in coins.items():
        if coin.coingecko_id and (other := coin_of.setdefault(coin.coingecko_id, code)) != code:
            raise ConfigurationError(
                f"coins.{code}.coingecko_id is {coin.coingecko_id!r}, the same as that of {other}. "
                "Each coin has its own API ID on CoinGecko."
            )


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
