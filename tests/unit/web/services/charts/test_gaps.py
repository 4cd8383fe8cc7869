"""Where the line of a chart is interrupted."""

from datetime import UTC, datetime, timedelta

from coinwatch.prices.backfill.gaps import InstrumentGap
from coinwatch.prices.history.downsampling import PricePoint
from coinwatch.web.services.charts.gaps import find_chart_gaps, split_at_gaps
from coinwatch.web.services.charts.svg_chart import draw_chart

END = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
NINE = 9 * MINUTE


def every(minutes: int, first: int, last: int) -> list[PricePoint]:
    """Points every ``minutes``, from ``first`` to ``last`` minutes before the end."""
    return [PricePoint(END - ago * MINUTE, 100.0 + ago % 7, None) for ago in range(first, last - 1, -minutes)]


def gap(first: int, last: int) -> InstrumentGap:
    return InstrumentGap(END - first * MINUTE, END - last * MINUTE, "unavailable", "nobody traded")


def test_only_known_gaps_interrupt_the_line() -> None:
    points = every(3, 1440, 600) + every(3, 500, 0)
    found = find_chart_gaps(points, [gap(599, 500)], END - 24 * HOUR, END, NINE)
    assert found.breaks == [(END - 599 * MINUTE, END - 500 * MINUTE)]
    assert found.breaks_json == "[[1795140060.0, 1795146000.0]]"
    first, second = split_at_gaps(points, found.breaks)
    assert (first[-1].observed_at, second[0].observed_at) == (END - 600 * MINUTE, END - 500 * MINUTE)
    chart = draw_chart(points, END - 24 * HOUR, END, found.breaks)
    assert chart is not None
    assert len(chart.lines) == 2
    [(left, width)] = chart.gaps
    assert chart.lines[0].split()[-1].split(",")[0] <= f"{left:g}"
    assert f"{left + width:g}" == chart.lines[1].split()[0].split(",")[0]


def test_undetected_outage_interrupts_the_line_but_missed_cycle_does_not() -> None:
    points = every(3, 60, 40) + every(3, 33, 20) + every(3, 5, 0)
    found = find_chart_gaps(points, [], END - HOUR, END, NINE)
    assert found.breaks == [(END - 21 * MINUTE, END - 5 * MINUTE)]
    assert found.listed == []


def test_gap_covered_by_hourly_candles_is_listed_but_does_not_interrupt() -> None:
    points = every(60, 1440, 720) + every(3, 600, 0)
    known = [gap(1430, 700)]
    found = find_chart_gaps(points, known, END - 24 * HOUR, END, 2 * HOUR)
    assert (found.breaks, found.listed) == ([], known)


def test_invisible_gap_is_omitted() -> None:
    known = [gap(7000, 6980)]
    found = find_chart_gaps(every(240, 30 * 1440, 0), known, END - 30 * 24 * HOUR, END, NINE)
    assert (found.breaks, found.listed, found.more) == ([], [], 0)


def test_newest_gaps_are_listed() -> None:
    known = [gap(ago, ago - 300) for ago in range(7000, 0, -1000)]
    found = find_chart_gaps([], known, END - 30 * 24 * HOUR, END, NINE)
    assert (found.listed, found.more) == (known[:1:-1], 2)


def test_single_price_between_gaps_is_drawn_as_a_dot() -> None:
    points = every(3, 60, 50) + every(3, 30, 30) + every(3, 10, 0)
    chart = draw_chart(points, END - HOUR, END, find_chart_gaps(points, [], END - HOUR, END, NINE).breaks)
    assert chart is not None
    assert [len(line.split()) for line in chart.lines] == [4, 2, 4]
