"""coinnews: the bundled market-data API, with which the pipeline runs without internet access.

    GET /api/data                 ["BTC", "ETH", …]
    GET /api/data/{name}          {"name", "value", "market_value", "roc", "updated_at", "volume_24h"}
    GET /api/data/{name}/history  [{"value", "date"}, …] oldest first, without the current value, or null
    GET /api/data/{name}/candles  [[time, open, high, low, close, volume], …] oldest first: those that open from
                                  ``start`` to before ``end`` (Unix seconds) and are complete; ``interval`` is 60
                                  (default), 3600 or 86400 seconds; at most 10,080
    GET /api/replay               {"coin", "file", "started_at", "speed", "candles", "loop"}
    GET /health                   {"status": "ok"}

Values are US dollars, ``roc`` is the change over 24 hours in percent, times are RFC 3339 in UTC. An unknown
name gets 404 with a plain text body, an invalid parameter 400. Volumes are in the coin. Candles exist for any time,
also before the server was first started; a recording is repeated backwards for that.
"""

import json
import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import Request

from coinwatch.clock import Clock, utc_now
from coinwatch.coinnews.market import Coin, Source, Value, find_coin, load_coins
from coinwatch.coinnews.replay import Replay, read_recording
from coinwatch.coinnews.simulation import SAMPLING, Simulation
from coinwatch.coinnews.state import load_market_start, load_replay_start
from coinwatch.errors import ConfigurationError
from coinwatch.ports import open_port

READ = ["GET", "HEAD"]
MAX_SPEED = 60_000.0  # a candle every millisecond
MAX_CANDLES = 10_080  # per request: a week of minutes
LAST_SECOND = 2**32


def serve(
    host: str,
    port: int,
    data_dir: Path,
    seed: int = 1,
    replay: Path | None = None,
    speed: float = 1.0,
    coin: str = "BTC",
    loop: bool = False,
) -> None:
    """Serve until SIGINT or SIGTERM.

    ``replay`` is a CSV file of one-minute candles to replay as the price of ``coin``, ``speed`` candles per minute.
    Raises ConfigurationError if the port is in use or the recording is invalid.
    """
    app = create_app(data_dir, seed, replay=replay, speed=speed, coin=coin, loop=loop)
    listener = open_port(host, port, "--port")
    config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off")
    with listener:
        uvicorn.Server(config).run(sockets=[listener])


def create_app(
    data_dir: Path,
    seed: int = 1,
    *,
    replay: Path | None = None,
    speed: float = 1.0,
    coin: str = "BTC",
    loop: bool = False,
    clock: Clock = utc_now,
) -> FastAPI:
    """The API as a FastAPI application; its state is kept in ``data_dir`` across restarts."""
    coins = load_coins()
    since = load_market_start(data_dir, seed, clock())
    sources: dict[str, Source] = {code: Simulation(each, seed, since) for code, each in coins.items()}
    recorded = None
    if replay is not None:
        replayed = _replayed_coin(coins, coin, speed)
        recording = read_recording(replay)
        started_at = load_replay_start(data_dir, recording.digest, speed, replayed.code, clock())
        recorded = Replay(replayed.code, recording, started_at, speed, loop)
        sources[replayed.code] = recorded

    app = FastAPI(title="coinnews", docs_url=None, redoc_url=None, openapi_url=None)

    @app.exception_handler(HTTPException)
    def plain_error(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return PlainTextResponse(f"{status} {getattr(error, 'detail', '')}\n", status)

    @app.exception_handler(RequestValidationError)
    def invalid_parameter(request: Request, error: Exception) -> Response:
        return PlainTextResponse("400 start and end are required, in Unix seconds; interval is in seconds\n", 400)

    @app.api_route("/api/data", methods=READ)
    def names() -> list[str]:
        return list(coins)

    @app.api_route("/api/data/{name}", methods=READ)
    def data(name: str) -> dict[str, str | float]:
        found = _get_coin(coins, name)
        now = clock()
        current = sources[found.code].current(now)
        return {
            "name": found.code,
            "value": current.value,
            "market_value": round(current.value * found.supply, 2),
            "roc": round(sources[found.code].change(now), 4),
            "updated_at": rfc3339(current.at),
            "volume_24h": sources[found.code].volume(now),
        }

    @app.api_route("/api/data/{name}/candles", methods=READ)
    def candles(name: str, start: int, end: int, interval: int = 60) -> Response:
        source = sources[_get_coin(coins, name).code]
        first, last = _candle_range(start, end, interval, clock())
        return Response(json.dumps(source.candles(first, last, interval)), media_type="application/json")

    @app.api_route("/api/data/{name}/history", methods=READ)
    def history(name: str) -> list[dict[str, str | float]] | None:
        earlier = sources[_get_coin(coins, name).code].history(clock())
        return [_point(value) for value in earlier] or None

    @app.api_route("/api/replay", methods=READ)
    def replay_state() -> dict[str, str | float | int | bool]:
        if recorded is None:
            raise HTTPException(404, "no replay is running")
        return {
            "coin": recorded.coin,
            "file": recorded.recording.path.name,
            "started_at": rfc3339(recorded.started_at),
            "speed": recorded.speed,
            "candles": len(recorded.recording.closes),
            "loop": recorded.loop,
        }

    @app.api_route("/health", methods=READ)
    def health() -> dict[str, str]:
        return {"status": "ok"}

    return app


def rfc3339(moment: datetime) -> str:
    """``2026-11-20T06:00:01.25Z``, without trailing zeros in the fraction."""
    text = moment.strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
    return f"{text}Z"


def _candle_range(start: int, end: int, interval: int, now: datetime) -> tuple[int, int]:
    """The openings of the requested candles that are complete, as [first, last); raises HTTPException."""
    if interval not in SAMPLING:
        raise HTTPException(400, f"interval must be one of {', '.join(map(str, SAMPLING))}")
    if not 0 <= start < end <= LAST_SECOND:
        raise HTTPException(400, f"start must be before end, both between 0 and {LAST_SECOND}")
    first = -(-start // interval) * interval
    last = min(-(-end // interval), math.floor(now.timestamp()) // interval) * interval
    if last - first > MAX_CANDLES * interval:
        raise HTTPException(400, f"at most {MAX_CANDLES} candles per request")
    return first, max(first, last)


def _replayed_coin(coins: Mapping[str, Coin], name: str, speed: float) -> Coin:
    coin = find_coin(coins, name)
    if coin is None:
        raise ConfigurationError(f"Unknown coin {name!r} to replay. Available: {', '.join(coins)}.")
    if not math.isfinite(speed) or not 0 < speed <= MAX_SPEED:
        raise ConfigurationError(f"The speed is {speed:g}; it must be greater than 0 and at most {MAX_SPEED:g}.")
    return coin


def _get_coin(coins: Mapping[str, Coin], name: str) -> Coin:
    coin = find_coin(coins, name)
    if coin is None:
        raise HTTPException(404, "page not found")
    return coin


def _point(value: Value) -> dict[str, str | float]:
    return {"value": value.value, "date": rfc3339(value.at)}
