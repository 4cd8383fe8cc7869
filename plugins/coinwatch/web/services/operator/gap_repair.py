"""Repairs gaps in the background: it may take minutes, and no page may wait that long."""

from threading import Lock, Thread

import structlog
from sqlalchemy import Engine

from coinwatch.audit import Actor, record_action, record_outcome
from coinwatch.database import limit_statements
from coinwatch.errors import CoinwatchError
from coinwatch.prices.backfill.repair import repair_gaps, summarize_repairs
from coinwatch.settings import Settings

ACTION = "gaps.repair"

log = structlog.get_logger()


class GapRepair:
    """Runs up to one repair at a time in this process.

    A repair that is interrupted, because the server stops, continues with the next one, as it does in Airflow.
    """

    def __init__(self) -> None:
        self._running = Lock()

    @property
    def is_running(self) -> bool:
        """Whether a repair is running in this process."""
        return self._running.locked()

    def start(self, engine: Engine, settings: Settings, actor: Actor) -> bool:
        """Start a repair; return False if one is running. Raises DatabaseError.

        The audit log has an entry for the start, and one for the result.
        """
        if not self._running.acquire(blocking=False):
            return False
        try:
            record_action(engine, actor, ACTION, state="started")
            unlimited = limit_statements(engine, None)  # refreshing candles may take longer than a page may wait
            Thread(target=self._run, args=(unlimited, settings, actor), name="gap repair", daemon=True).start()
        except BaseException:
            self._running.release()
            raise
        return True

    def _run(self, engine: Engine, settings: Settings, actor: Actor) -> None:
        try:
            with record_outcome(engine, actor, ACTION) as outcome:
                results, failed = repair_gaps(engine, settings)
                outcome.update(summarize_repairs(results, failed))
            log.info("gaps repaired", results=[result.as_dict() for result in results], failed=failed)
        except CoinwatchError as error:
            log.error("gap repair failed", error=str(error))
        finally:
            self._running.release()


GAP_REPAIR = GapRepair()
