"""Recorded candles of the exchange server, on which other tests rely."""

from pathlib import Path

from tests.exchange_server.recorded import RecordedCandle, Recording, read_candles

CSV = """timestamp,open,high,low,close,volume
2022-01-01 00:59:00.000000,10.0,12.0,9.0,11.0,5.0
2022-01-01 00:00:00.000000,8.0,9.0,7.5,8.5,1.5
2022-01-01 01:00:00.000000,11.0,11.5,10.5,11.25,2.0
"""
MIDNIGHT = 1640995200


def test_recorded_minutes_are_rolled_up_without_filling_gaps(tmp_path: Path) -> None:
    path = tmp_path / "candles.csv"
    path.write_text(CSV)
    recording = Recording(read_candles(path))

    assert [each.opened_at - MIDNIGHT for each in recording.candles(MIDNIGHT, MIDNIGHT + 86400, 60)] == [0, 3540, 3600]
    assert recording.candles(MIDNIGHT, MIDNIGHT + 86400, 3600) == [
        RecordedCandle(MIDNIGHT, 8.0, 12.0, 7.5, 11.0, 6.5),
        RecordedCandle(MIDNIGHT + 3600, 11.0, 11.5, 10.5, 11.25, 2.0),
    ]
    assert recording.candles(0, 2**40, 86400) == [RecordedCandle(MIDNIGHT, 8.0, 12.0, 7.5, 11.25, 8.5)]
    assert recording.candles(MIDNIGHT + 1, MIDNIGHT + 3540, 60)[0].open == 10.0
