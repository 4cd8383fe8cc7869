// Data of a chart, and positions in it.
//
// A chart's data is a set of lists of equal length, with null where there is no value: `times` (Unix seconds, increasing),
// `close`, and for candles `open`, `high`, `low` and `volume`. Bars are equally far apart, so there is one per interval, with or
// without prices.

// The data of a line through irregular points ({ time, value }), oldest first: with empty bars where there are no points for
// more than twice the usual interval.
export function lineThrough(points) {
  const [times, close] = [[], []];
  const distances = points.slice(1).map((point, index) => point.time - points[index].time).sort((a, b) => a - b);
  const usual = Math.max(1, distances[Math.floor(distances.length / 2)] ?? 1);
  points.forEach((point, index) => {
    const last = times[times.length - 1];
    if (index > 0 && point.time <= last) return;
    if (index > 0 && point.time - last > 2 * usual) {
      const missing = Math.min(1000, Math.floor((point.time - last) / usual) - 1);
      const step = (point.time - last) / (missing + 1);
      for (let number = 1; number <= missing; number += 1) {
        times.push(Math.round(last + number * step));
        close.push(null);
      }
    }
    times.push(point.time);
    close.push(point.value);
  });
  return { kind: "line", times, close };
}

// The fractional position of a time among increasing times; before the first and after the last it continues their distance.
export function positionOf(times, seconds) {
  if (times.length === 1) return 0;
  let [low, high] = [0, times.length - 1];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (times[middle] <= seconds) low = middle;
    else high = middle;
  }
  return low + (seconds - times[low]) / (times[high] - times[low]);
}

// The position of the bar that contains a time, within the chart.
export const barAt = (times, seconds) => Math.min(times.length - 1, Math.max(0, Math.floor(positionOf(times, seconds))));

export const newestOf = (values) => values.findLastIndex((value) => value !== null);

// [lowest, highest] of the values that are numbers, or null if there are none.
export function extentOf(...lists) {
  let [low, high] = [Infinity, -Infinity];
  for (const values of lists) {
    for (const value of values) {
      if (value === null) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return low <= high ? [low, high] : null;
}
