// Turns the drawn chart into one that can be pointed at. Without uPlot or data, the drawing stays.
"use strict";

const figure = document.getElementById("chart");
const market = document.getElementById("market");

market.addEventListener("change", () => market.form.requestSubmit());
market.form.querySelector("button").hidden = true;

function colour(name) { // as the browser resolves it for the theme in use
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  figure.append(probe);
  const resolved = getComputedStyle(probe).color;
  probe.remove();
  return resolved;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function timeLabel(seconds, step) { // UTC; the day at midnight, the time elsewhere, seconds where ticks are that close
  const moment = new Date(seconds * 1000);
  const [hours, minutes] = [moment.getUTCHours(), moment.getUTCMinutes()];
  if (hours + minutes === 0) return `${moment.getUTCDate()} ${MONTHS[moment.getUTCMonth()]}`;
  const parts = step < 60 ? [hours, minutes, moment.getUTCSeconds()] : [hours, minutes];
  return parts.map((part) => String(part).padStart(2, "0")).join(":");
}

function showNewest(chart) { // in the legend, while nobody points at the line
  chart.setLegend({ idx: chart.data[1].findLastIndex((price) => price !== null) }, false);
}

function broken(times, prices, holes) { // a null wherever no line may be drawn; the time axis reaches over holes at the ends
  const data = [[], []];
  const add = (time, price) => { data[0].push(time); data[1].push(price); };
  const between = (before, after) => holes.some(([start, end]) => start < after && end > before);
  if (between(-Infinity, times[0])) add(holes[0][0], null);
  times.forEach((time, index) => {
    add(time, prices[index]);
    if (index + 1 < times.length && between(time, times[index + 1])) add((time + times[index + 1]) / 2, null);
  });
  const last = times[times.length - 1];
  if (between(last, Infinity)) add(Math.max(last + 1, holes[holes.length - 1][1]), null);
  return data;
}

function lonely(chart, series, show) { // a price alone between two holes is drawn as a dot; null means all
  const prices = chart.data[series];
  if (show) return null;
  return prices.flatMap((price, index) => (price !== null && (prices[index - 1] ?? null) === null && (prices[index + 1] ?? null) === null ? [index] : []));
}

function shade(chart, holes) {
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.fillStyle = colour("--wash");
  for (const hole of holes) {
    const [left, right] = hole.map((time) => Math.min(Math.max(chart.valToPos(time, "x", true), bbox.left), bbox.left + bbox.width));
    ctx.fillRect(left, bbox.top, right - left, bbox.height);
  }
  ctx.restore();
}

function options(unit, width, digits, holes) {
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--edge"), width: 1 }, ticks: { show: false } };
  const inDigits = (value, digits) => value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const prices = (ticks) => { // with just the digits that tell them apart
    const step = ticks.length > 1 ? ticks[1] - ticks[0] : 1;
    return ticks.map((tick) => inDigits(tick, Math.max(0, -Math.floor(Math.log10(step) + 1e-9))));
  };
  const room = (labels) => Math.max(width < 500 ? 62 : 84, 16 + 7 * Math.max(0, ...(labels ?? []).map((label) => label.length)));
  const number = (value) => inDigits(value, digits);
  return {
    width,
    height: Math.max(220, Math.min(360, width * 0.45)),
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    cursor: { drag: { x: true, y: false } },
    hooks: { drawClear: [(chart) => shade(chart, holes)], ready: [showNewest], setLegend: [(chart) => chart.legend.idx ?? showNewest(chart)] },
    axes: [{ ...axis, values: (_, ticks, axisIndex, space, step) => ticks.map((tick) => timeLabel(tick, step)) }, { ...axis, size: (_, labels) => room(labels), values: (_, ticks) => prices(ticks) }],
    series: [
      { label: "Time (UTC)", value: (_, seconds) => (seconds === null ? "–" : new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ")) },
      {
        label: `Price (${unit})`,
        stroke: colour("--accent"),
        width: 1.75,
        points: { size: 5, filter: lonely },
        value: (_, price) => (price === null || price === undefined ? "–" : number(price)),
      },
    ],
  };
}

async function draw() {
  if (!figure || typeof uPlot === "undefined") return;
  const answer = await fetch(figure.dataset.source, { headers: { Accept: "application/json" } });
  if (!answer.ok) return;
  const { points } = await answer.json();
  if (points.length < 2) return;
  const holes = JSON.parse(figure.dataset.holes);
  const data = broken(points.map((point) => Date.parse(point.observed_at) / 1000), points.map((point) => point.price), holes);
  const highest = Math.max(...data[1]);
  const digits = highest >= 100 ? 2 : highest >= 1 ? 4 : 3 - Math.floor(Math.log10(highest));
  const drawing = figure.querySelector("svg");
  const place = document.createElement("div");
  place.setAttribute("role", "img");
  place.setAttribute("aria-label", drawing.getAttribute("aria-label"));
  drawing.replaceWith(place);
  let chart;
  const redraw = () => {
    chart?.destroy();
    chart = new uPlot(options(figure.dataset.unit, figure.clientWidth, digits, holes), data, place);
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
