"""When rules fire, in plain Python: written from the definition in docs/alerts.md, not from our SQL."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from coinwatch.alerts.rules import Rule

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
REARMING = ("change_over_window", "deviation_from_average")
PERIODS = {86_400: HOUR, 604_800: HOUR, 2_592_000: DAY, 31_449_600: DAY}  # and on what a period starts


@dataclass
class Definition:
    """The definition of a rule, applied to the quotes of one instrument in order of time.

    ``steps`` has, for every alert of ``fired``, how many steps of its ladder it is further than the one before.
    """

    rule: Rule
    since: datetime
    seen: list[tuple[datetime, float]] = field(default_factory=list)
    armed: bool = True
    cooldown_until: datetime | None = None
    step: float | None = None
    rises: bool = False
    over: bool = False
    fired: list[datetime] = field(default_factory=list)
    steps: list[int | None] = field(default_factory=list)

    def evaluate(self, moment: datetime, value: float) -> None:
        reference = self._reference(moment)
        self.seen.append((moment, value))
        if not reference or self.over or moment <= self.since:
            return
        if self.rule.expires_at and moment >= self.rule.expires_at:
            return
        holds = self._holds(reference, value)
        if self.rule.kind == "crosses":
            if _crosses(reference, self.rule.threshold, value):
                self.step = None
        elif not holds:
            self.armed, self.step = True, None
        if self.cooldown_until is not None and moment < self.cooldown_until:
            return
        further = self._further(value) if self.step and self.rises == self._is_up(reference, value) else 0
        if holds and (self.armed or self.rule.kind not in REARMING):
            self._fire(moment, None)
            self.rises, self.step = value > reference, value
            if self.rule.kind == "crosses":
                self.step = self.rule.threshold
                self._climb(self._further(value))
        elif further:
            self._fire(moment, further)
            self._climb(further)

    def _fire(self, moment: datetime, steps: int | None) -> None:
        self.fired.append(moment)
        self.steps.append(steps)
        self.armed = False
        self.cooldown_until = moment + timedelta(seconds=self.rule.cooldown_seconds)
        self.over = not self.rule.repeat

    def _is_up(self, reference: float, value: float) -> bool:
        """Beyond a level, the ladder's direction counts, otherwise that of the change."""
        return self.rises if self.rule.kind == "crosses" else value > reference

    def _further(self, value: float) -> int:
        """How many steps the value is beyond the last one."""
        if self.rule.ladder_percent is None or self.step is None:
            return 0
        factor = 1 + (1 if self.rises else -1) * self.rule.ladder_percent / 100
        count, next_step = 0, self.step * factor
        while value * (1 + 1e-10) >= next_step if self.rises else value * (1 - 1e-10) <= next_step:
            count, next_step = count + 1, next_step * factor
        return count

    def _climb(self, count: int) -> None:
        if self.step is not None and self.rule.ladder_percent is not None:
            self.step *= (1 + (1 if self.rises else -1) * self.rule.ladder_percent / 100) ** count

    def _reference(self, moment: datetime) -> float | None:
        """What a value is compared with; None without one."""
        if self.rule.kind in ("new_high", "new_low"):
            return self._extreme(moment)
        window = timedelta(seconds=self.rule.window_seconds)
        if self.rule.kind == "change_over_window":
            before = [known for then, known in self.seen if then <= moment - window]
            return before[-1] if before else None
        if self.rule.kind == "deviation_from_average":
            before = [known for then, known in self.seen if moment - window <= then < moment]
            return sum(before) / len(before) if before else None
        return self.seen[-1][1] if self.seen else None

    def _extreme(self, moment: datetime) -> float | None:
        if not self.seen:
            return None
        begins_on = PERIODS.get(self.rule.window_seconds, HOUR)
        first = _floor(self.seen[0][0], begins_on)
        if self.rule.window_seconds:
            start = _floor(moment - timedelta(seconds=self.rule.window_seconds), begins_on)
            enough = first <= start
        else:
            start, enough = first, first <= _floor(moment, HOUR) - DAY
        before = [known for then, known in self.seen if then >= start]
        if not enough or not any(start <= then < _floor(moment, HOUR) for then, _ in self.seen):
            return None
        return max(before) if self.rule.kind == "new_high" else min(before)

    def _holds(self, reference: float, value: float) -> bool:
        if self.rule.kind == "crosses":
            level = self.rule.threshold
            up, down = reference < level <= value, reference > level >= value
            return {"up": up, "down": down, "either": up or down}[self.rule.direction]
        change = 100 * (value - reference) / reference
        reach = {"up": change, "down": -change, "either": abs(change)}[self.rule.direction]
        return reach > 0 and reach * (1 + 1e-12) >= self.rule.threshold


def _crosses(reference: float, level: float, value: float) -> bool:
    return reference < level <= value or reference > level >= value


def _floor(moment: datetime, step: timedelta) -> datetime:
    return moment - (moment - datetime(2000, 1, 1, tzinfo=UTC)) % step
