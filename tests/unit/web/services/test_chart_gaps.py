"""Where a chart's line breaks and where it may be drawn through."""

from datetime import UTC, datetime, timedelta

from coinwatch.prices.backfill.gaps import InstrumentGap
from coinwatch.prices.history.latest import PricePoint
from coinwatch.web.services.chart import draw
from coinwatch.web.services.chart_gaps import find_holes, segments

END = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
NINE = 9 * MINUTE


def every(minutes: int, first: int, last: int) -> list[PricePoint]:
    """Points so many minutes apart, from ``first`` to ``last`` minutes before the end."""
    return [PricePoint(END - ago * MINUTE, 100.0 + ago % 7, None) for ago in range(first, last - 1, -minutes)]


def hole(first: int, last: int) -> InstrumentGap:
    return InstrumentGap(END - first * MINUTE, END - last * MINUTE, "unavailable", "nobody traded")


def test_the_line_breaks_in_a_known_hole_and_nowhere_else() -> None:
    points = every(3, 1440, 600) + every(3, 500, 0)
    found = find_holes(points, [hole(599, 500)], END - 24 * HOUR, END, NINE)
    assert found.breaks == [(END - 599 * MINUTE, END - 500 * MINUTE)]
    assert found.as_json == "[[1795140060.0, 1795146000.0]]"
    first, second = segments(points, found.breaks)
    assert (first[-1].observed_at, second[0].observed_at) == (END - 600 * MINUTE, END - 500 * MINUTE)
    chart = draw(points, END - 24 * HOUR, END, found.breaks)
    assert chart is not None
    assert len(chart.lines) == 2
    [(left, width)] = chart.holes
    assert chart.lines[0].split()[-1].split(",")[0] <= f"{left:g}"
    assert f"{left + width:g}" == chart.lines[1].split()[0].split(",")[0]


def test_an_outage_that_no_look_found_yet_breaks_the_line_but_a_lost_cycle_does_not() -> None:
    points = every(3, 60, 40) + every(3, 33, 20) + every(3, 5, 0)
    found = find_holes(points, [], END - HOUR, END, NINE)
    assert found.breaks == [(END - 21 * MINUTE, END - 5 * MINUTE)]
    assert found.told == []


def test_hours_that_stand_in_for_lost_minutes_are_one_line_and_still_told() -> None:
    points = every(60, 1440, 720) + every(3, 600, 0)
    known = [hole(1430, 700)]
    found = find_holes(points, known, END - 24 * HOUR, END, 2 * HOUR)
    assert (found.breaks, found.told) == ([], known)


def test_a_hole_too_small_to_be_seen_is_left_out() -> None:
    known = [hole(7000, 6980)]
    found = find_holes(every(240, 30 * 1440, 0), known, END - 30 * 24 * HOUR, END, NINE)
    assert (found.breaks, found.told, found.more) == ([], [], 0)


def test_of_many_holes_the_newest_are_told() -> None:
    known = [hole(ago, ago - 300) for ago in range(7000, 0, -1000)]
    found = find_holes([], known, END - 30 * 24 * HOUR, END, NINE)
    assert (found.told, found.more) == (known[:1:-1], 2)


def test_a_price_alone_between_two_holes_is_a_dot() -> None:
    points = every(3, 60, 50) + every(3, 30, 30) + every(3, 10, 0)
    chart = draw(points, END - HOUR, END, find_holes(points, [], END - HOUR, END, NINE).breaks)
    assert chart is not None
    assert [len(line.split()) for line in chart.lines] == [4, 2, 4]
