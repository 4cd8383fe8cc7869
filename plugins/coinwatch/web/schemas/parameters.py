"""Parameters that several routes share."""

from typing import Annotated

from fastapi import Path, Query

Coin = Annotated[str, Path(description="Code or name of the coin, for example BTC or bitcoin.")]
SubscriptionId = Annotated[int, Path(ge=1, le=2**63 - 1, description="Id of the subscription.")]
ExchangeFilter = Annotated[str | None, Query(max_length=60, description="Code of an exchange, or index. Default: all.")]
Exchange = Annotated[str | None, Query(max_length=60, description="Code of an exchange. Default: index.")]
Quote = Annotated[str | None, Query(max_length=20, description="Quote currency. Default: USD where available.")]
