"""The drawn chart."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from coinwatch.prices.history.latest import PricePoint
from coinwatch.web.services.chart import SMALL, draw

END = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
prices = st.floats(min_value=1e-9, max_value=1e9)
spans = st.sampled_from([timedelta(hours=1), timedelta(hours=24), timedelta(days=7), timedelta(days=30)])


@given(st.lists(prices, min_size=1, max_size=50), spans)
def test_every_price_lies_within_the_axes_and_the_axes_have_labels(values: list[float], span: timedelta) -> None:
    start = END - span
    points = [PricePoint(start + span * number / len(values), value, None) for number, value in enumerate(values)]
    chart = draw(points, start, END)
    assert chart is not None
    for place in " ".join(chart.lines).split():
        across, down = map(float, place.split(","))
        assert chart.frame.left <= across <= chart.frame.right
        assert 0 <= down <= chart.frame.bottom
    assert 2 <= len(chart.price_ticks) <= 12
    assert 1 <= len(chart.time_ticks) <= 8
    assert len({tick.label for tick in chart.price_ticks}) == len(chart.price_ticks)


def test_the_prices_of_the_cheapest_coins_have_room_beside_the_axis() -> None:
    start = END - timedelta(hours=1)
    chart = draw([PricePoint(start, 4.2e-9, None), PricePoint(END, 4.4e-9, None)], start, END)
    assert chart is not None
    letter = 0.6 * 20  # pixels: the size of the labels on a phone
    assert all(letter * len(tick.label) <= chart.frame.left - 8 for tick in chart.price_ticks)


def test_nothing_recorded_means_no_chart() -> None:
    assert draw([], END - timedelta(hours=1), END) is None


def test_alerts_are_pointed_out_on_the_line_and_a_level_where_it_is_in_sight() -> None:
    start = END - timedelta(hours=2)
    points = [PricePoint(start, 100, None), PricePoint(END - timedelta(hours=1), 110, None)]
    many = [(END - timedelta(hours=1), 110.0)] * 500
    chart = draw(points, start, END, marks=many, level=105, frame=SMALL)
    assert chart is not None
    assert chart.marks == [chart.last]
    assert chart.level is not None
    assert chart.last[1] < chart.level < SMALL.bottom
    beyond = draw(points, start, END, level=200, frame=SMALL)
    assert beyond is not None
    assert beyond.level is None
