"""Query parameters that several routes share."""

from typing import Annotated

from fastapi import Query

ExchangeFilter = Annotated[str | None, Query(max_length=60, description="Code of an exchange, or index. Default: all.")]
Exchange = Annotated[str | None, Query(max_length=60, description="Code of an exchange. Default: index.")]
Quote = Annotated[str | None, Query(max_length=20, description="Quote currency. Default: USD where available.")]
