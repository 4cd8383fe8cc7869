"""The bundled coinnews API: its endpoints, its state and its replay."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from coinwatch.coinnews.market import load_coins
from coinwatch.coinnews.server import create_app
from coinwatch.errors import ConfigurationError
from coinwatch.exchanges.timestamps import parse_rfc3339
from coinwatch.settings import load_settings

START = datetime(2026, 11, 20, 12, 0, 0, 250_000, tzinfo=UTC)
HEADER = "timestamp,open,high,low,close,volume\n"


class Clock:
    """A clock that a test moves."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **passed: float) -> None:
        self.now += timedelta(**passed)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def serve(data_dir: Path, clock: Clock, seed: int = 1, **options: Any) -> TestClient:
    return TestClient(create_app(data_dir, seed, clock=clock, **options))


def recording(path: Path, closes: list[float], first: str = "2021-12-31 23:01:00.000000") -> Path:
    moment = datetime.fromisoformat(first)
    lines = [
        f"{moment + timedelta(minutes=index):%Y-%m-%d %H:%M:%S.%f},{close},{close},{close},{close},1.5\n"
        for index, close in enumerate(closes)
    ]
    path.write_text(HEADER + "".join(lines))
    return path


def test_serves_every_coin_in_the_default_configuration(tmp_path: Path, clock: Clock) -> None:
    names = serve(tmp_path, clock).get("/api/data").json()

    assert len(names) >= 8
    assert {pair.split("/")[0] for pair in load_settings().exchanges["coinnews"].instruments} <= set(names)


def test_head_is_the_same_as_get_without_a_body(tmp_path: Path, clock: Clock) -> None:
    client = serve(tmp_path, clock)
    for path in ("/health", "/api/data", "/api/data/BTC", "/api/data/BTC/history", "/api/data/nothing"):
        get, head = client.get(path), client.head(path)
        assert (head.status_code, head.headers) == (get.status_code, get.headers)
        assert head.content == b""


def test_coin_lookup_by_code_or_name_ignores_case(tmp_path: Path, clock: Clock) -> None:
    api = serve(tmp_path, clock)

    responses = [api.get(f"/api/data/{name}").json() for name in ("BTC", "btc", "Bitcoin", "bitcoin")]

    assert responses[0].keys() == {"name", "value", "market_value", "roc", "updated_at", "volume_24h"}
    assert responses[0]["name"] == "BTC"
    assert all(response == responses[0] for response in responses)
    assert responses[0]["market_value"] == pytest.approx(responses[0]["value"] * load_coins()["BTC"].supply)


def test_candles_are_complete_and_continue_to_the_current_price(tmp_path: Path, clock: Clock) -> None:
    api = serve(tmp_path, clock)
    now = int(clock.now.timestamp())
    rows = api.get("/api/data/BTC/candles", params={"start": now - 599, "end": now + 3600}).json()
    assert [row[0] for row in rows] == list(range(now - 540, now, 60)), "the running minute is not complete"
    assert rows[-1][4] == api.get("/api/data/BTC").json()["value"]
    days = api.get("/api/data/Bitcoin/candles", params={"start": now - 86400 * 3, "end": now, "interval": 86400}).json()
    assert len(days) == 2


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?start=1",
        "?start=x&end=2",
        "?start=120&end=60",
        "?start=60&end=60",
        "?start=-60&end=60",
        "?start=0&end=99999999999",
        "?start=0&end=604860",
        "?start=0&end=120&interval=61",
        "?start=nan&end=inf",
    ],
)
def test_invalid_candle_ranges_are_rejected_as_text(query: str, tmp_path: Path, clock: Clock) -> None:
    response = serve(tmp_path, clock).get(f"/api/data/BTC/candles{query}")
    assert (response.status_code, response.headers["content-type"]) == (400, "text/plain; charset=utf-8")


@pytest.mark.parametrize(
    "path",
    [
        "/api/data/nothing",
        "/api/data/nothing/history",
        "/api/data/nothing/candles?start=0&end=60",
        "/api/replay",
        "/nowhere",
    ],
)
def test_unknown_names_and_paths_return_plain_text_404(path: str, tmp_path: Path, clock: Clock) -> None:
    response = serve(tmp_path, clock).get(path)

    assert response.status_code == 404
    assert response.headers["content-type"].startswith("text/plain")


def test_rate_of_change_is_the_24_hour_change_in_percent(tmp_path: Path, clock: Clock) -> None:
    api = serve(tmp_path, clock)
    yesterday = api.get("/api/data/ETH").json()["value"]
    clock.advance(days=1)

    today = api.get("/api/data/ETH").json()

    assert today["roc"] == pytest.approx((today["value"] / yesterday - 1) * 100, abs=1e-3)


def test_history_grows_every_minute_and_excludes_the_current_value(tmp_path: Path, clock: Clock) -> None:
    api = serve(tmp_path, clock)
    assert api.get("/api/data/BTC/history").json() is None
    clock.advance(minutes=3)

    history = api.get("/api/data/BTC/history").json()
    current = api.get("/api/data/BTC").json()

    assert [point["date"] for point in history] == [f"2026-11-20T12:0{minute}:00Z" for minute in (1, 2)]
    assert current["updated_at"] == "2026-11-20T12:03:00Z"
    clock.advance(seconds=1)
    assert api.get("/api/data/BTC/history").json()[-1] == {"value": current["value"], "date": "2026-11-20T12:03:00Z"}


def test_history_survives_a_restart_and_stays_bounded(tmp_path: Path, clock: Clock) -> None:
    first = serve(tmp_path, clock)
    clock.advance(minutes=10)
    before = first.get("/api/data/BTC/history").json()

    assert serve(tmp_path, clock).get("/api/data/BTC/history").json() == before
    clock.advance(days=30)
    assert len(serve(tmp_path, clock).get("/api/data/BTC/history").json()) == 1440


def test_different_seed_gives_a_different_market(tmp_path: Path, clock: Clock) -> None:
    value = serve(tmp_path, clock, seed=1).get("/api/data/BTC").json()["value"]
    clock.advance(minutes=10)
    other = serve(tmp_path, clock, seed=2)

    assert other.get("/api/data/BTC").json()["value"] != value
    assert other.get("/api/data/BTC/history").json() is None


def test_replay_plays_each_candle_at_its_exact_time(tmp_path: Path, clock: Clock) -> None:
    closes = [100.0, 101.5, 99.25, 103.0]
    file = recording(tmp_path / "market.csv", closes)
    api = serve(tmp_path / "data", clock, replay=file, speed=7.0)
    state = api.get("/api/replay").json()
    started_at = parse_rfc3339(state["started_at"])
    assert state == {
        "coin": "BTC",
        "file": "market.csv",
        "started_at": "2026-11-20T12:00:00.25Z",
        "speed": 7.0,
        "candles": 4,
        "loop": False,
    }

    seen: list[tuple[float, str]] = []
    while clock.now < START + timedelta(seconds=40):
        response = api.get("/api/data/BTC").json()
        if not seen or seen[-1] != (response["value"], response["updated_at"]):
            seen.append((response["value"], response["updated_at"]))
        clock.advance(seconds=0.5)

    exact = [started_at + timedelta(microseconds=round(index * 60e6 / 7)) for index in range(4)]
    assert [(value, parse_rfc3339(text)) for value, text in seen] == list(zip(closes, exact, strict=True))
    assert [round((parse_rfc3339(text) - started_at).total_seconds() * 7 / 60) for _, text in seen] == [0, 1, 2, 3]


def test_price_changes_exactly_at_the_time_of_the_candle(tmp_path: Path, clock: Clock) -> None:
    api = serve(tmp_path / "data", clock, replay=recording(tmp_path / "market.csv", [1.0, 2.0]), speed=7.0)
    second = timedelta(microseconds=round(60e6 / 7))

    clock.now = START + second - timedelta(microseconds=1)
    assert api.get("/api/data/BTC").json()["value"] == 1.0
    clock.now = START + second
    assert api.get("/api/data/BTC").json()["value"] == 2.0


def test_finished_replay_stays_at_its_last_price_and_time(tmp_path: Path, clock: Clock) -> None:
    api = serve(tmp_path / "data", clock, replay=recording(tmp_path / "market.csv", [1.0, 2.0]), speed=60.0)
    clock.advance(hours=5)

    response = api.get("/api/data/BTC").json()

    assert (response["value"], response["updated_at"]) == (2.0, "2026-11-20T12:00:01.25Z")
    assert [point["value"] for point in api.get("/api/data/BTC/history").json()] == [1.0]


def test_looping_replay_restarts_with_new_times(tmp_path: Path, clock: Clock) -> None:
    file = recording(tmp_path / "market.csv", [1.0, 2.0, 3.0])
    api = serve(tmp_path / "data", clock, replay=file, speed=60.0, loop=True)
    clock.advance(seconds=4)

    response = api.get("/api/data/BTC").json()

    assert (response["value"], response["updated_at"]) == (2.0, "2026-11-20T12:00:04.25Z")


def test_replay_continues_after_a_restart(tmp_path: Path, clock: Clock) -> None:
    file = recording(tmp_path / "market.csv", [float(number) for number in range(1, 100)])
    before = serve(tmp_path / "data", clock, replay=file, speed=60.0)
    clock.advance(seconds=20)
    expected = before.get("/api/data/BTC").json()

    again = serve(tmp_path / "data", clock, replay=file, speed=60.0)

    assert expected["value"] == 21.0
    assert again.get("/api/data/BTC").json() == expected
    assert again.get("/api/data/BTC/history").json() == before.get("/api/data/BTC/history").json()


@pytest.mark.parametrize("change", ["speed", "replay", "coin"])
def test_changed_replay_starts_from_the_beginning(change: str, tmp_path: Path, clock: Clock) -> None:
    file = recording(tmp_path / "market.csv", [1.0, 2.0, 3.0])
    other = recording(tmp_path / "other.csv", [1.0, 5.0, 6.0])
    options: dict[str, Any] = {"replay": file, "speed": 60.0, "coin": "BTC"}
    changes: dict[str, Any] = {"speed": 30.0, "replay": other, "coin": "ETH"}
    serve(tmp_path / "data", clock, **options)
    clock.advance(seconds=2)

    changed = options | {change: changes[change]}
    api = serve(tmp_path / "data", clock, **changed)

    assert api.get(f"/api/data/{changed['coin']}").json()["value"] == 1.0


def test_other_coins_stay_simulated_during_a_replay(tmp_path: Path, clock: Clock) -> None:
    file = recording(tmp_path / "market.csv", [1.0])
    api = serve(tmp_path / "data", clock, replay=file, coin="ethereum")

    assert api.get("/api/data/ETH").json()["value"] == 1.0
    assert api.get("/api/data/BTC").json() == serve(tmp_path / "plain", clock).get("/api/data/BTC").json()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("timestamp,open,high,low,volume\n", "line 1: the column close is missing"),
        ("", "line 1: the column timestamp is missing"),
        (HEADER, "has no candles"),
        (HEADER + "2022-01-01 00:00:00,1,1,1,abc,1\n", "line 2: close is 'abc', not a number"),
        (HEADER + "2022-01-01 00:00:00,1,1,1,nan,1\n", "line 2: close is 'nan', not a number"),
        (HEADER + "2022-01-01 00:00:00,1,1,1,0,1\n", "line 2: close is 0; it must be greater than 0"),
        (HEADER + "2022-01-01 00:00:00,1,1,1,1,1\nlater,1,1,1,1,1\n", "line 3: timestamp is 'later'"),
        (HEADER + "2022-01-01 00:01:00,1,1,1,1,1\n2022-01-01 00:00:00,1,1,1,1,1\n", "line 3: .* is not later"),
        (HEADER + "2022-01-01 00:00:00,1,1,1\n", "line 2: 4 values, but the header has 6"),
    ],
)
def test_invalid_recording_error_names_the_line(content: str, message: str, tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "market.csv"
    file.write_text(content)

    with pytest.raises(ConfigurationError, match=message):
        serve(tmp_path / "data", clock, replay=file)


def test_recording_may_have_missing_minutes(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "market.csv"
    file.write_text(HEADER + "2022-01-01 00:00:00,1,1,1,1,1\n\n2022-01-01 00:07:00,2,2,2,2,1\n")
    api = serve(tmp_path / "data", clock, replay=file, speed=60.0)
    clock.advance(seconds=1)

    assert api.get("/api/data/BTC").json()["value"] == 2.0


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan"), float("inf"), 1e9])
def test_speed_out_of_bounds_is_an_error(speed: float, tmp_path: Path, clock: Clock) -> None:
    with pytest.raises(ConfigurationError, match="speed"):
        serve(tmp_path / "data", clock, replay=recording(tmp_path / "market.csv", [1.0]), speed=speed)


def test_unknown_coin_cannot_be_replayed(tmp_path: Path, clock: Clock) -> None:
    with pytest.raises(ConfigurationError, match="'NOPE'"):
        serve(tmp_path / "data", clock, replay=recording(tmp_path / "market.csv", [1.0]), coin="NOPE")


def test_missing_recording_is_an_error(tmp_path: Path, clock: Clock) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.csv"):
        serve(tmp_path / "data", clock, replay=tmp_path / "absent.csv")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"seed": 1}', '{"seed": 1, "since": "2026-01-01T00:00:00"}'])
def test_corrupt_state_file_is_an_error(content: str, tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "state.json").write_text(content)

    with pytest.raises(ConfigurationError, match=r"state\.json is damaged"):
        serve(tmp_path, clock)
