// Replaces the SVG chart with an interactive one. Without uPlot or data, the SVG stays.
"use strict";

const figure = document.getElementById("chart");
const market = document.getElementById("market");

market.addEventListener("change", () => market.form.requestSubmit());
market.form.querySelector("button").hidden = true;

function color(name) { // resolved for the current theme
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  figure.append(probe);
  const resolved = getComputedStyle(probe).color;
  probe.remove();
  return resolved;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function timeLabel(seconds, step) { // UTC: the date at midnight, otherwise the time, with seconds if ticks are that close
  const moment = new Date(seconds * 1000);
  const [hours, minutes] = [moment.getUTCHours(), moment.getUTCMinutes()];
  if (hours + minutes === 0) return `${moment.getUTCDate()} ${MONTHS[moment.getUTCMonth()]}`;
  const parts = step < 60 ? [hours, minutes, moment.getUTCSeconds()] : [hours, minutes];
  return parts.map((part) => String(part).padStart(2, "0")).join(":");
}

function showNewest(chart) { // in the legend, while the pointer is not on the chart
  chart.setLegend({ idx: chart.data[1].findLastIndex((price) => price !== null) }, false);
}

function withBreaks(times, prices, gaps) { // a null where no line is drawn; the time axis includes gaps at either end
  const data = [[], []];
  const add = (time, price) => { data[0].push(time); data[1].push(price); };
  const between = (before, after) => gaps.some(([start, end]) => start < after && end > before);
  if (between(-Infinity, times[0])) add(gaps[0][0], null);
  times.forEach((time, index) => {
    add(time, prices[index]);
    if (index + 1 < times.length && between(time, times[index + 1])) add((time + times[index + 1]) / 2, null);
  });
  const last = times[times.length - 1];
  if (between(last, Infinity)) add(Math.max(last + 1, gaps[gaps.length - 1][1]), null);
  return data;
}

function isolatedPoints(chart, series, show) { // drawn as dots: single prices between two gaps; null means all
  const prices = chart.data[series];
  if (show) return null;
  return prices.flatMap((price, index) => (price !== null && (prices[index - 1] ?? null) === null && (prices[index + 1] ?? null) === null ? [index] : []));
}

function shadeGaps(chart, gaps) {
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.fillStyle = color("--wash");
  for (const gap of gaps) {
    const [left, right] = gap.map((time) => Math.min(Math.max(chart.valToPos(time, "x", true), bbox.left), bbox.left + bbox.width));
    ctx.fillRect(left, bbox.top, right - left, bbox.height);
  }
  ctx.restore();
}

function formatPrice(value) { // the format of format_price in formatting.py
  const decimals = value > 0 ? Math.min(20, Math.max(2, 5 - Math.floor(Math.log10(value)))) : 2;
  return value.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: decimals });
}

function options(unit, width, gaps) {
  const axis = { stroke: color("--soft"), grid: { stroke: color("--edge"), width: 1 }, ticks: { show: false } };
  const prices = (ticks) => { // with as many digits as needed to distinguish them
    const step = ticks.length > 1 ? ticks[1] - ticks[0] : 1;
    const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    return ticks.map((tick) => tick.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  };
  const labelWidth = (labels) => Math.max(width < 500 ? 62 : 84, 16 + 7 * Math.max(0, ...(labels ?? []).map((label) => label.length)));
  return {
    width,
    height: Math.max(220, Math.min(360, width * 0.45)),
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    cursor: { drag: { x: true, y: false } },
    hooks: { drawClear: [(chart) => shadeGaps(chart, gaps)], ready: [showNewest], setLegend: [(chart) => chart.legend.idx ?? showNewest(chart)] },
    axes: [{ ...axis, values: (_, ticks, axisIndex, space, step) => ticks.map((tick) => timeLabel(tick, step)) }, { ...axis, size: (_, labels) => labelWidth(labels), values: (_, ticks) => prices(ticks) }],
    series: [
      { label: "Time (UTC)", value: (_, seconds) => (seconds === null ? "–" : new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ")) },
      {
        label: `Price (${unit})`,
        stroke: color("--accent"),
        width: 1.75,
        points: { size: 5, filter: isolatedPoints },
        value: (_, price) => (price === null || price === undefined ? "–" : formatPrice(price)),
      },
    ],
  };
}

async function draw() {
  if (!figure || typeof uPlot === "undefined") return;
  const response = await fetch(figure.dataset.source, { headers: { Accept: "application/json" } });
  if (!response.ok) return;
  const { points } = await response.json();
  if (points.length < 2) return;
  const gaps = JSON.parse(figure.dataset.gaps);
  const data = withBreaks(points.map((point) => Date.parse(point.observed_at) / 1000), points.map((point) => point.price), gaps);
  const svg = figure.querySelector("svg");
  const container = document.createElement("div");
  container.setAttribute("role", "img");
  container.setAttribute("aria-label", svg.getAttribute("aria-label"));
  svg.replaceWith(container);
  let chart;
  const redraw = () => {
    chart?.destroy();
    chart = new uPlot(options(figure.dataset.unit, figure.clientWidth, gaps), data, container);
  };
  redraw();
  document.addEventListener("theme", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  let width = figure.clientWidth;
  new ResizeObserver(() => {
    if (figure.clientWidth !== width) {
      width = figure.clientWidth;
      redraw();
    }
  }).observe(figure);
}

draw();
