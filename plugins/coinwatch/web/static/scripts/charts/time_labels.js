// Times on the axis and in the legend, in one time zone. All times are Unix seconds.
//
// lightweight-charts places its labels as if all times were UTC. So that a day starts at midnight in the reader's time zone,
// times are shifted by the zone's offset at the end of the chart; labels are formatted from the true times. Where the clocks
// change within the chart, a label for a day may be one hour away from its midnight, which DAY_SLACK allows for.

const YEAR = 0, MONTH = 1, DAY = 2; // TickMarkType of lightweight-charts; larger ones are times of day
const DAY_SLACK = 2 * 3600;

function offsetOf(zone, seconds) { // of the zone from UTC, in seconds
  const parts = new Intl.DateTimeFormat("en-US", {
    timeZone: zone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric",
  }).formatToParts(new Date(seconds * 1000));
  const part = Object.fromEntries(parts.map(({ type, value }) => [type, Number(value)]));
  return Math.round(Date.UTC(part.year, part.month - 1, part.day, part.hour, part.minute, part.second) / 1000 - Math.floor(seconds));
}

// `daily`: candles are UTC days or longer, so only dates are shown, in UTC.
export function createTimeLabels(zone, lastTime, daily) {
  const timeZone = daily ? "UTC" : zone;
  const shift = offsetOf(timeZone, lastTime);
  const formatter = (options) => {
    const format = new Intl.DateTimeFormat(undefined, { timeZone, ...options });
    return (seconds) => format.format(new Date(seconds * 1000));
  };
  const time = formatter({ hour: "2-digit", minute: "2-digit" });
  const day = formatter({ day: "numeric", month: "short" });
  const month = formatter({ month: "short" });
  const year = formatter({ year: "numeric" });
  const full = formatter(
    daily
      ? { year: "numeric", month: "short", day: "numeric" }
      : { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" },
  );
  return {
    toAxis: (seconds) => seconds + shift,
    tick: (axisTime, type) => {
      const seconds = axisTime - shift;
      if (type === YEAR) return year(seconds + DAY_SLACK);
      if (type === MONTH) return month(seconds + DAY_SLACK);
      return type === DAY ? day(seconds + DAY_SLACK) : time(seconds);
    },
    full,
    fullOfAxis: (axisTime) => full(axisTime - shift),
  };
}
