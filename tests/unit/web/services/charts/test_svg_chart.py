"""The price chart as SVG."""

from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from coinwatch.prices.history.downsampling import PricePoint
from coinwatch.web.services.charts.svg_chart import SMALL, draw_chart

END = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
prices = st.floats(min_value=1e-9, max_value=1e9)
spans = st.sampled_from([timedelta(hours=1), timedelta(hours=24), timedelta(days=7), timedelta(days=30)])


@given(st.lists(prices, min_size=1, max_size=50), spans)
@example([1.0000000000000003e-09, 1e-09], timedelta(hours=1))
def test_axes_include_all_prices(values: list[float], span: timedelta) -> None:
    start = END - span
    points = [PricePoint(start + span * number / len(values), value, None) for number, value in enumerate(values)]
    chart = draw_chart(points, start, END)
    assert chart is not None
    for position in " ".join(chart.lines).split():
        x, y = map(float, position.split(","))
        assert chart.frame.left <= x <= chart.frame.right
        assert 0 <= y <= chart.frame.bottom
    assert 2 <= len(chart.price_ticks) <= 12
    assert 1 <= len(chart.time_ticks) <= 8
    assert len({tick.label for tick in chart.price_ticks}) == len(chart.price_ticks)


def test_labels_of_tiny_prices_fit() -> None:
    start = END - timedelta(hours=1)
    chart = draw_chart([PricePoint(start, 4.2e-9, None), PricePoint(END, 4.4e-9, None)], start, END)
    assert chart is not None
    letter = 0.6 * 20  # pixels: the size of the labels on a phone
    assert all(letter * len(tick.label) <= chart.frame.left - 8 for tick in chart.price_ticks)


def test_no_chart_without_points() -> None:
    assert draw_chart([], END - timedelta(hours=1), END) is None


def test_markers_are_merged_and_level_is_drawn_if_visible() -> None:
    start = END - timedelta(hours=2)
    points = [PricePoint(start, 100, None), PricePoint(END - timedelta(hours=1), 110, None)]
    many = [(END - timedelta(hours=1), 110.0)] * 500
    chart = draw_chart(points, start, END, markers=many, levels=[105], frame=SMALL)
    assert chart is not None
    assert chart.markers == [chart.last]
    [level] = chart.levels
    assert chart.last[1] < level < SMALL.bottom
    beyond = draw_chart(points, start, END, levels=[200], frame=SMALL)
    assert beyond is not None
    assert beyond.levels == []
