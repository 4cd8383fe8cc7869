"""The state of the coinnews server: when its market and its replay started, which determines all prices."""

import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from coinwatch.errors import ConfigurationError
from coinwatch.exchanges.timestamps import parse_rfc3339

FILE = "state.json"


@dataclass(frozen=True, slots=True)
class ReplayStart:
    """The start of a replay, identified by its file, speed and coin."""

    digest: str
    speed: float
    coin: str
    started_at: str


@dataclass(frozen=True, slots=True)
class State:
    """``since`` is the server's first start with this seed, when the simulated history starts."""

    seed: int
    since: str
    replay: ReplayStart | None = None


def load_market_start(data_dir: Path, seed: int, now: datetime) -> datetime:
    """When the market with this seed was first started; stores ``now`` if this is the first time."""
    state = _read(data_dir)
    if state is None or state.seed != seed:
        state = State(seed, now.isoformat())
        _write(data_dir, state)
    return datetime.fromisoformat(state.since)


def load_replay_start(data_dir: Path, digest: str, speed: float, coin: str, now: datetime) -> datetime:
    """When this replay was first started; stores ``now`` if this is the first time.

    Call ``load_market_start`` first.
    """
    state = _read(data_dir)
    if state is None:
        raise ConfigurationError(f"{data_dir / FILE} does not exist.")
    start = state.replay
    if start is None or (start.digest, start.speed, start.coin) != (digest, speed, coin):
        start = ReplayStart(digest, speed, coin, now.isoformat())
        _write(data_dir, State(state.seed, state.since, start))
    return datetime.fromisoformat(start.started_at)


def _read(data_dir: Path) -> State | None:
    path = data_dir / FILE
    try:
        fields = json.loads(path.read_text("utf-8"))
        replay = fields.get("replay")
        state = State(int(fields["seed"]), fields["since"], ReplayStart(**replay) if replay else None)
        for moment in (state.since, *([state.replay.started_at] if state.replay else [])):
            parse_rfc3339(moment)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"Cannot read {path}: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigurationError(f"{path} is damaged. Delete it to start a new market.") from None
    return state


def _write(data_dir: Path, state: State) -> None:
    """Write to a temporary file and rename it, so that a crash leaves the old file or the new one."""
    path = data_dir / FILE
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.new")
        temporary.write_text(json.dumps(asdict(state), indent=2) + "\n", "utf-8")
        temporary.replace(path)
    except OSError as error:
        raise ConfigurationError(f"Cannot write {path}: {error.strerror}. Choose another --data-dir.") from None
