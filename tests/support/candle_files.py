"""Candle files in the shapes in which others publish them, written by the tests themselves."""

import zipfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from tests.support.quotes import at


class TextCandle(NamedTuple):
    """A candle with texts for numbers, as exchanges write them."""

    opened_at: datetime
    open: str
    high: str
    low: str
    close: str
    volume: str
    trades: int


def some_candles(
    number: int, step: timedelta = timedelta(minutes=1), start: datetime | None = None
) -> list[TextCandle]:
    """Candles that rise by one; the first opens at the tests' start."""
    first = start or at(0)
    return [
        TextCandle(
            first + place * step,
            f"{100 + place}.1",
            f"{110 + place}.25",
            f"{90 + place}.5",
            f"{101 + place}",
            f"{place}.5",
            place,
        )
        for place in range(number)
    ]


def unix(moment: datetime, per_second: int = 1) -> int:
    return int(moment.timestamp()) * per_second


def binance_csv(candles: list[TextCandle], *, per_second: int = 1000, step: int = 60, header: bool = False) -> str:
    """As data.binance.vision has it: twelve columns, milliseconds until 2024 and microseconds since."""
    names = (
        "open_time,open,high,low,close,volume,close_time,quote_volume,"
        "count,taker_buy_volume,taker_buy_quote_volume,ignore\n"
    )
    rows = "".join(
        f"{unix(c.opened_at, per_second)},{c.open},{c.high},{c.low},{c.close},{c.volume},"
        f"{(unix(c.opened_at) + step) * per_second - 1},99999.5,{c.trades},1.5,777.5,0\n"
        for c in candles
    )
    return names + rows if header else rows


def cryptodatadownload_csv(
    candles: list[TextCandle], symbol: str = "BTCUSDT", base: str = "BTC", quote: str = "USDT"
) -> str:
    """The newest first, seconds and milliseconds mixed."""
    lines = [
        "https://www.CryptoDataDownload.com",
        f"unix,date,symbol,open,high,low,close,Volume {base},Volume {quote},tradecount",
    ]
    for place, c in enumerate(reversed(candles)):
        time = unix(c.opened_at, 1000 if place % 2 else 1)
        lines.append(
            f"{time},{c.opened_at:%Y-%m-%d %H:%M:%S},{symbol},"
            f"{c.open},{c.high},{c.low},{c.close},{c.volume},9e9,{c.trades}"
        )
    return "\n".join(lines) + "\n"


def plain_csv(candles: list[TextCandle], time: str = "timestamp") -> str:
    rows = (f"{c.opened_at.isoformat()},{c.open},{c.high},{c.low},{c.close},{c.volume},{c.trades}" for c in candles)
    return "\n".join([f"{time},open,high,low,close,volume,trades", *rows]) + "\n"


def zipped(path: Path, **members: str) -> Path:
    """A ZIP at ``path``; a member's name has __ for the dot before its ending."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", ".").replace("_", "-"), text)
    return path
