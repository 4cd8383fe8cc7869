// The series of a chart: candles or a line with averages and volume, or several lines in percent with the spread below.

import { formatAmount, formatPercent } from "../numbers.js";
import { extentOf } from "./data.js";

const MIN_SHARE_OF_DATA = 1 / 3; // of the height: levels farther away are not shown

// Adds them to the chart and returns them, the main one first. `toAxis` converts times, `levels` are prices to show as well, no
// line is drawn across `gaps`. A single price between two gaps is drawn as a dot.
export function addSeries(chart, data, { colors, toAxis, levels, gaps }) {
  const times = data.times.map(toAxis);
  const add = (type, options, points, pane = 0) => {
    const series = chart.addSeries(type, { priceLineVisible: false, ...options }, pane);
    series.setData(points);
    return series;
  };
  const line = (values, options, pane = 0) => add(LightweightCharts.LineSeries, { lineWidth: 2, ...options }, linePoints(data.times, times, values, gaps), pane);
  if (data.kind === "percent") {
    const percent = { type: "custom", formatter: (value) => formatPercent(value), minMove: 0.0001 };
    const lines = data.lines.map(({ values }, number) => line(values, { color: colors.series[number], priceFormat: percent, lineStyle: number % 3 }));
    if (!data.spread) return lines;
    const below = line(data.spread, { color: colors.text, priceFormat: percent, lineWidth: 1 }, 1);
    shrinkSecondPane(chart);
    return [...lines, below];
  }
  const price = pricesOf(data);
  const options = { priceFormat: price.format, autoscaleInfoProvider: (original) => withLevels(original(), levels) };
  const candles = data.kind === "candles";
  const main = candles
    ? add(LightweightCharts.CandlestickSeries, { ...options, upColor: colors.up, downColor: colors.down, wickUpColor: colors.up, wickDownColor: colors.down, borderVisible: false }, candlePoints(times, data))
    : line(data.close, { ...options, color: colors.line, pointMarkersVisible: hasIsolated(data.times, data.close, gaps), pointMarkersRadius: 2 });
  const averages = (data.averages ?? []).map(({ values }, number) => line(values, {
    color: colors.series[number + 1], lineWidth: 1, priceFormat: price.format, lastValueVisible: false, crosshairMarkerVisible: false,
  }));
  if (!data.volume) return [main, ...averages];
  const volume = add(LightweightCharts.HistogramSeries, {
    color: colors.volume, lastValueVisible: false, priceFormat: { type: "custom", formatter: (value) => (value ? formatAmount(value) : "0"), minMove: 0.000001 },
  }, times.map((time, index) => (data.volume[index] === null ? { time } : { time, value: data.volume[index] })), 1);
  shrinkSecondPane(chart);
  return [main, ...averages, volume];
}

function shrinkSecondPane(chart) {
  const [first, second] = chart.panes();
  first.setStretchFactor(4);
  second?.setStretchFactor(1);
}

function pricesOf(data) {
  const extent = extentOf(data.low ?? data.close, data.high ?? data.close) ?? [0, 1];
  const decimals = axisDecimals(...extent);
  const formatter = (value) => value.toLocaleString(undefined, { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  return { format: { type: "custom", formatter, minMove: 10 ** -decimals } };
}

function axisDecimals(low, high) { // that tell neighboring labels apart
  const step = (high - low || Math.abs(high) * 0.02 || 1) / 8;
  return Math.min(15, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
}

function candlePoints(times, { open, high, low, close }) {
  return times.map((time, index) => (close[index] === null ? { time } : { time, open: open[index], high: high[index], low: low[index], close: close[index] }));
}

// The library draws a line through empty bars. That is right between two prices a few minutes apart, but not across a gap,
// where the piece is transparent: a point has the color of the piece after it.
function linePoints(times, axisTimes, values, gaps) {
  const points = axisTimes.map((time, index) => (values[index] === null ? { time } : { time, value: values[index] }));
  runs(times, values, gaps).slice(0, -1).forEach(({ last }) => { points[last].color = "transparent"; });
  return points;
}

// The runs of values without a gap between them, by the positions of their first and last value.
function runs(times, values, gaps) {
  const found = [];
  values.forEach((value, index) => {
    if (value === null) return;
    const run = found[found.length - 1];
    if (run && !gaps.some(([start, end]) => start < times[index] && end > times[run.last])) run.last = index;
    else found.push({ first: index, last: index });
  });
  return found;
}

const hasIsolated = (times, values, gaps) => runs(times, values, gaps).some(({ first, last }) => first === last);

function withLevels(info, levels) {
  if (!info?.priceRange) return info;
  let { minValue, maxValue } = info.priceRange;
  const room = Math.max(maxValue - minValue, maxValue * 1e-6) / MIN_SHARE_OF_DATA;
  for (const level of levels) {
    const [low, high] = [Math.min(minValue, level), Math.max(maxValue, level)];
    if (high - low <= room) [minValue, maxValue] = [low, high];
  }
  return { ...info, priceRange: { minValue, maxValue } };
}
