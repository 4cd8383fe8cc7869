"""The chart in an email shows its values on any background, in few bytes."""

from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest
from PIL import Image

from coinwatch.mail.charts import DAY, DENSITY, HEIGHT, WIDTH, draw

END = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def drawn(*prices: float) -> Image.Image:
    """Draw prices evenly over the last 24 hours; return the image's alpha channel, 0 to 255."""
    step = DAY / len(prices)
    chart = draw([(END - DAY + step * (n + 1), price) for n, price in enumerate(prices)], END - DAY, END)
    assert chart.png.startswith(b"\x89PNG")
    assert (chart.lowest, chart.highest, chart.last) == (min(prices), max(prices), prices[-1])
    return Image.open(BytesIO(chart.png)).convert("RGBA").getchannel("A")


def ink_in(picture: Image.Image, left: int, right: int) -> float:
    """The mean height of opaque pixels between two columns, without labels; larger is lower."""
    box = picture.crop((left, 40 * DENSITY, right, (HEIGHT - 36) * DENSITY))
    full = [y for y in range(box.height) for x in range(box.width) if box.getpixel((x, y)) == 255]
    return sum(full) / len(full)


def test_rising_price_is_a_rising_line() -> None:
    picture = drawn(*(100.0 + n for n in range(48)))
    assert picture.size == (WIDTH * DENSITY, HEIGHT * DENSITY)
    quarter = picture.width // 4
    assert ink_in(picture, quarter - 20, quarter) > ink_in(picture, 3 * quarter, 3 * quarter + 20) + 50


def test_missing_values_interrupt_the_line() -> None:
    minutes = [180, *range(320, 481, 5), *range(960, 1441, 5)]
    chart = draw([(END - DAY + timedelta(minutes=n), 100.0 + n % 7) for n in minutes], END - DAY, END)
    ink = Image.open(BytesIO(chart.png)).convert("RGBA").getchannel("A")
    alone = ink.crop((0, 40 * DENSITY, ink.width * 3 // 16, (HEIGHT - 34) * DENSITY))
    assert alone.getextrema() == (0, 255), "a single value is drawn as a point"
    middle = ink.crop((ink.width * 3 // 8, 40 * DENSITY, ink.width * 5 // 8, (HEIGHT - 34) * DENSITY))
    assert middle.getextrema() == (0, 0)


def test_background_is_transparent() -> None:
    assert drawn(1.0, 2.0, 1.5).getpixel((WIDTH, 34 * DENSITY)) == 0, "nothing is drawn between the labels and the line"


@pytest.mark.parametrize("prices", [(5.0, 5.0), (1e-9, 2e-9), (1e15, 1.0, 1e15)])
def test_flat_and_extreme_prices_are_drawn(prices: tuple[float, ...]) -> None:
    assert drawn(*prices).getextrema() == (0, 255)


def test_volatile_chart_is_small() -> None:
    values = [(END - DAY + timedelta(minutes=5 * n), 100.0 + n * 7919 % 13) for n in range(1, 289)]
    assert len(draw(values, END - DAY, END).png) < 15_000
