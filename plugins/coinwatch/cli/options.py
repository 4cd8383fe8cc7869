"""Arguments and options that several commands share: each has one name and one meaning."""

from typing import Annotated

import typer

CoinArgument = Annotated[str, typer.Argument(help="Coin code or name, for example BTC or bitcoin.")]
CoinFilter = Annotated[str | None, typer.Option("--coin", help="Only this coin (code or name).")]
ExchangeOption = Annotated[
    str | None, typer.Option("--exchange", help="Exchange code, for example kraken. Default: the index.")
]
ExchangeFilter = Annotated[str | None, typer.Option("--exchange", help="Only this exchange (code).")]
QuoteOption = Annotated[str | None, typer.Option("--quote", help="Quote currency. Default: USD where available.")]
LastOption = Annotated[
    str | None, typer.Option("--last", help="Period up to --to, or up to now, for example 30m, 24h, 7d or 4w.")
]
FromOption = Annotated[
    str | None, typer.Option("--from", help="Start time (ISO 8601, UTC if it has no offset), instead of --last.")
]
ToOption = Annotated[str | None, typer.Option("--to", help="Last day (inclusive) or a time. Default: now.")]
TimeZoneOption = Annotated[
    str, typer.Option("--timezone", help="Time zone of the times given and shown, for example Europe/Berlin.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
