"""Coins and exchanges in the configuration, and how they must fit together."""

import re
from collections.abc import Mapping
from typing import Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr, model_validator

from coinwatch.codes import DOLLAR_LIKE, code_key
from coinwatch.errors import ConfigurationError
from coinwatch.setting_values import HttpUrl, Pair

EXCHANGE_CODE = re.compile(r"[a-z0-9_]+")


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


Coins = Mapping[str, CoinSettings]
Exchanges = Mapping[str, ExchangeSettings]


def check_coins_and_exchanges(coins: Coins, exchanges: Exchanges) -> None:
    """Check that codes are valid and spelled alike, ids are set, and every pair's base is a configured coin.

    Raises ConfigurationError.
    """
    for base, coin in coins.items():
        for action in coin.corporate_actions:
            if action.exchange not in {None, *exchanges}:
                raise ConfigurationError(
                    f"coins.{base}.corporate_actions: {action.exchange!r} is not a configured exchange. "
                    f"Configured exchanges: {', '.join(exchanges)}."
                )
    for code, exchange in exchanges.items():
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
            if base not in coins:
                raise ConfigurationError(
                    f"exchanges.{code}.instruments.{position} (counted from 0): its coin is not configured. "
                    "Add a table [coins.CODE], spelled as in the pair."
                )
            if (exchange.adapter or code) == "coingecko" and coins[base].coingecko_id is None:
                raise ConfigurationError(
                    f"coins.{base}.coingecko_id is not set, but exchanges.{code} collects the coin. Set it to the API "
                    f"ID on the coin's page at coingecko.com, or remove {base} from exchanges.{code}.instruments."
                )
    _check_spelling(coins, exchanges)
    _check_coingecko_ids(coins)


def _check_spelling(coins: Coins, exchanges: Exchanges) -> None:
    """Check that no two codes differ only in case, which lookups ignore, and that a code or name means one coin."""
    spellings = {code_key(code): code for code in DOLLAR_LIKE}
    for coin in coins:
        known = spellings.setdefault(code_key(coin), coin)
        if known != coin:
            raise ConfigurationError(f"coins.{coin} differs from the code {known} only in upper and lower case.")
    coin_of = {code_key(coin): coin for coin in coins}
    for coin, fields in coins.items():
        if (other := coin_of.setdefault(code_key(fields.name), coin)) != coin:
            raise ConfigurationError(
                f"coins.{coin}.name is also the code or name of {other}. Coins are found by both: change the name."
            )
    for code, exchange in exchanges.items():
        for position, pair in enumerate(exchange.instruments):
            for each in pair.split("/"):
                if spellings.setdefault(code_key(each), each) != each:
                    raise ConfigurationError(
                        f"exchanges.{code}.instruments.{position} (counted from 0): a code is written elsewhere in "
                        "the configuration with different upper and lower case. Use one spelling."
                    )


def _check_coingecko_ids(coins: Coins) -> None:
    """Check that no two coins have the same id: one of them would be stored with the other's price."""
    coin_of: dict[str, str] = {}
    for code, coin in coins.items():
        if coin.coingecko_id and (other := coin_of.setdefault(coin.coingecko_id, code)) != code:
            raise ConfigurationError(
                f"coins.{code}.coingecko_id is {coin.coingecko_id!r}, the same as that of {other}. "
                "Each coin has its own API ID on CoinGecko."
            )
