"""Settings from the environment, ``.env`` and ``config/coinwatch.toml``, checked at start.

The environment wins over ``.env``, which wins over the TOML file. A nested field is written with two
underscores: ``COINWATCH_EXCHANGES__BINANCE__BASE_URL``. A wrong value stops the start with a
:class:`~coinwatch.errors.ConfigurationError` that names the field, the value and the place to change it.
"""

import os
import re
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, AnyHttpUrl, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from coinwatch.errors import ConfigurationError

PROJECT_ROOT = Path(os.environ.get("COINWATCH_HOME") or Path(__file__).resolve().parents[2])
CODE = re.compile(r"[a-z0-9_]+")
PAIR = re.compile(r"[A-Z0-9]{1,20}/[A-Z0-9]{1,20}")
SHORTEST_KEEP_DAYS = 2
EXAMPLE_SECRETS = {"change-me", "changeme", "example", "secret", "password"}


def _pair(value: str) -> str:
    if not PAIR.fullmatch(value):
        raise ValueError(f"{value!r} is not a pair such as BTC/USD")
    return value


def _http_url(value: str) -> str:
    AnyHttpUrl(value)
    return value.rstrip("/")


Pair = Annotated[str, AfterValidator(_pair)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]


class CoinSettings(BaseModel):
    """One coin: its code is the key in the table; ``coingecko_id`` is CoinGecko's name for it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    coingecko_id: str | None = None


class ExchangeSettings(BaseModel):
    """One exchange to watch.

    ``adapter`` is the module that speaks to it: its own code by default, ``ccxt`` for any exchange that the
    ccxt library knows (its id is then ``ccxt_id``). ``enabled`` is the state at first start: ``auto`` asks the
    exchange whether it answers from here. Afterwards ``coinwatch exchanges enable|disable`` decides.
    ``timeout_seconds`` is for one whole answer. ``minimum_interval_seconds`` keeps two fetches apart where the
    exchange's plan demands it, ``history_calls_per_second`` is what fetching history may use of the exchange's limit;
    None leaves both to the adapter.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    instruments: list[Pair] = Field(min_length=1)
    enabled: Literal["auto"] | bool = "auto"
    adapter: str = ""
    base_url: HttpUrl | None = None
    api_key: SecretStr | None = None
    timeout_seconds: float = Field(10.0, gt=0, le=120)
    minimum_interval_seconds: float | None = Field(None, ge=0, le=86400)
    history_calls_per_second: float | None = Field(None, gt=0, le=1000)
    ccxt_id: str | None = None
    simulated: bool = False


class Settings(BaseSettings):
    """All settings; the fields' names in capitals with ``COINWATCH_`` before them are the variables."""

    model_config = SettingsConfigDict(
        env_prefix="COINWATCH_",
        env_nested_delimiter="__",
        extra="ignore",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    database_url: SecretStr | None = None
    database_owner_url: SecretStr | None = None
    database_reader_url: SecretStr | None = None
    database_admin_url: SecretStr | None = None

    statsd_host: str = "127.0.0.1"
    statsd_port: int = Field(18125, ge=1, le=65535)
    graphite_url: HttpUrl = "http://127.0.0.1:18080"

    smtp_url: SecretStr = SecretStr("smtp://127.0.0.1:11025?tls=none")
    email_from: str = "coinwatch <coinwatch@localhost>"
    public_url: HttpUrl = "http://127.0.0.1:18000"
    alerts_file: Path = Path("alerts.txt")
    emails_per_day_per_address: int = Field(50, ge=0, le=100_000)
    emails_per_day: int = Field(0, ge=0, le=100_000_000)
    channels_enabled: bool = False
    outbox_retention_days: int = Field(90, ge=0, le=36500)

    secret_key: SecretStr | None = None
    api_token: SecretStr | None = None

    collect_schedule_minutes: float = Field(3.0, ge=0.05, le=1440)
    index_freshness_seconds: float = Field(600.0, gt=0)
    alert_max_age_minutes: float = Field(60.0, gt=0, le=7 * 24 * 60)
    quote_max_age_days: float = Field(30.0, gt=0)
    export_path: str | None = None
    gap_after_cycles: float = Field(3.0, ge=1, le=1000)
    price_retention_days: int = Field(90, ge=0, le=36500)

    quality_stale_cycles: float = Field(3.0, ge=1)
    quality_disagreement_percent: float = Field(3.0, gt=0)
    quality_frozen_minutes: float = Field(60.0, ge=5, le=1440)

    coins: dict[str, CoinSettings] = Field(default_factory=dict)
    exchanges: dict[str, ExchangeSettings] = Field(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = TomlConfigSettingsSource(settings_cls, toml_file=config_path())
        return init_settings, env_settings, dotenv_settings, toml

    @property
    def quote_gauge_max_age_seconds(self) -> float:
        """Prices older than this (three cycles, at least a minute) are no longer pushed as gauges."""
        return max(60.0, 3 * self.collect_schedule_minutes * 60)

    def require(self, name: str) -> str:
        """Value of a secret that has no default; ConfigurationError names the variable when it is missing."""
        value = getattr(self, name)
        secret = value.get_secret_value() if isinstance(value, SecretStr) else ""
        variable = f"COINWATCH_{name.upper()}"
        if not secret.strip():
            raise ConfigurationError(f"{variable} is not set. Set it in the environment or in {env_path()}.")
        if secret.strip().lower() in EXAMPLE_SECRETS or "change-me" in secret.lower():
            raise ConfigurationError(f"{variable} still holds an example value. Choose a random one.")
        return secret


def config_path() -> Path:
    """The TOML file in use: COINWATCH_CONFIG or config/coinwatch.toml of the project."""
    return Path(os.environ.get("COINWATCH_CONFIG") or PROJECT_ROOT / "config" / "coinwatch.toml")


def env_path() -> Path:
    """The file with generated secrets: COINWATCH_ENV_FILE or .env of the project."""
    return Path(os.environ.get("COINWATCH_ENV_FILE") or PROJECT_ROOT / ".env")


def load_settings(**overrides: object) -> Settings:
    """Read and check all settings; ConfigurationError names every wrong field at once."""
    path = config_path()
    if not path.is_file():
        raise ConfigurationError(f"There is no configuration file {path}. Set COINWATCH_CONFIG to yours.")
    try:
        settings = Settings(_env_file=env_path(), **overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        raise ConfigurationError(_explain(error)) from None
    except ValueError as error:  # a TOML or .env file that does not parse
        raise ConfigurationError(f"The settings in {path} or {env_path()} cannot be read: {error}") from None
    _check_references(settings)
    _check_retention(settings)
    return settings


@lru_cache
def get_settings() -> Settings:
    """The process's settings, read once."""
    return load_settings()


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_url=False):
        field = ".".join(str(part) for part in problem["loc"])
        variable = "COINWATCH_" + "__".join(str(part) for part in problem["loc"]).upper()
        shown = "" if _is_secret(field) else f", not {problem['input']!r}"
        lines.append(f"{field}: {problem['msg']}{shown} (in {config_path()} or as {variable})")
    return "Wrong settings:\n  " + "\n  ".join(lines)


def _is_secret(field: str) -> bool:
    return bool(re.search(r"url|key|token|secret|password", field))


def _check_references(settings: Settings) -> None:
    """What single fields cannot say: codes are well formed and every watched base is a known coin."""
    for code, exchange in settings.exchanges.items():
        if not CODE.fullmatch(code) or code == "index":
            raise ConfigurationError(f"exchanges.{code}: a code has small letters, digits and _; 'index' is taken.")
        if exchange.adapter == "ccxt" and not exchange.ccxt_id:
            raise ConfigurationError(
                f"exchanges.{code}.ccxt_id: name the exchange as ccxt does, for example 'bitstamp'."
            )
        for pair in exchange.instruments:
            base = pair.split("/")[0]
            if base not in settings.coins:
                raise ConfigurationError(
                    f"exchanges.{code}.instruments: {pair} has the unknown coin {base}. Add a [coins.{base}] table."
                )


def _check_retention(settings: Settings) -> None:
    """Prices are kept for longer than late ones are accepted, and for as long as rules and pages look back."""
    keep, max_age = settings.price_retention_days, settings.quote_max_age_days
    shortest = max(SHORTEST_KEEP_DAYS, ceil(max_age) + 1)
    if 0 < keep < shortest:
        raise ConfigurationError(
            f"COINWATCH_PRICE_RETENTION_DAYS is {keep}; the minimum is {shortest}, or 0 to keep prices forever. Changes "
            f"over 24 hours need up to two days of prices, and quotes are accepted up to {max_age:g} days late "
            "(COINWATCH_QUOTE_MAX_AGE_DAYS)."
        )
