"""Parameters that several routes share."""

from typing import Annotated

from fastapi import Path, Query
from pydantic import AfterValidator

from coinwatch.errors import NotFound

MAX_ID = 2**63 - 1


def _id_in_range(value: int) -> int:
    """Raises NotFound for a number that Postgres cannot even compare with an id."""
    if not 0 < value <= MAX_ID:
        raise NotFound(f"Subscription {value} doesn't exist.")
    return value


Coin = Annotated[str, Path(description="Code or name of the coin, for example BTC or bitcoin.")]
SubscriptionId = Annotated[int, AfterValidator(_id_in_range), Path(description="Id of the subscription.")]
CoinFilter = Annotated[str | None, Query(max_length=60, description="Code or name of a coin. Default: all.")]
ExchangeFilter = Annotated[str | None, Query(max_length=60, description="Code of an exchange, or index. Default: all.")]
Exchange = Annotated[str | None, Query(max_length=60, description="Code of an exchange. Default: index.")]
Quote = Annotated[str | None, Query(max_length=20, description="Quote currency. Default: USD where available.")]
