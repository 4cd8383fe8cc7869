// An interactive chart of prices over time, drawn by lightweight-charts (loaded before this module as a classic script).
//
//   const chart = createPriceChart(element, { label: "Price of Bitcoin", unit: "USD" });
//   chart.setData({ kind: "candles", times, open, high, low, close, volume });   // see data.js; or lineThrough(points)
//   chart.setGaps([[start, end, "Kraken has no candles for this time"]]);
//   chart.setLevels([{ value: 70000, label: "Alert" }]);
//   chart.setMarkers([{ time, label: "up 5.2% in 10 minutes", direction: "up" }]);
//
// All times are Unix seconds. Keys: arrows move the crosshair, + and - zoom, 0 shows everything.

import { barAt, extentOf, newestOf, positionOf } from "./data.js";
import { createGapShading } from "./gap_shading.js";
import { createLegend } from "./legend.js";
import { addSeries } from "./series.js";
import { themeColors } from "./theme_colors.js";
import { createTimeLabels } from "./time_labels.js";
import { timeZone } from "../times.js";

export { lineThrough } from "./data.js";

const MAX_MARKERS_WITH_TEXT = 5;
const EDGE = 0.08; // of the chart, where a marker's text would be cut off

// Options: `label` (text alternative), `unit` (quote currency), `base` (unit of the volume), `zone` (time zone, default: the
// reader's), `onRangeChange(start, end)` (called when the reader zooms or scrolls; without arguments if everything is shown).
export function createPriceChart(container, options = {}) {
  const settings = { label: "Price chart", unit: "", zone: timeZone, ...options };
  const legend = createLegend(settings);
  const plot = document.createElement("div");
  plot.className = "chart-plot";
  plot.setAttribute("aria-hidden", "true");
  const announcement = document.createElement("p");
  announcement.className = "visually-hidden";
  announcement.setAttribute("aria-live", "polite");
  container.replaceChildren(legend.element, plot, announcement);
  container.classList.add("price-chart");
  container.tabIndex = 0;
  container.setAttribute("role", "application");
  container.setAttribute("aria-roledescription", "chart");
  container.setAttribute("aria-label", settings.label);

  const chart = LightweightCharts.createChart(plot, fixedOptions());
  let data = null, gaps = [], levels = [], markers = [];
  let colors = themeColors(container), labels = null, shown = [], selected = null;
  let moved = false; // by the reader, since the data was set

  function draw({ fit = true } = {}) {
    if (!data) return;
    const range = fit ? null : chart.timeScale().getVisibleLogicalRange();
    colors = themeColors(container);
    labels = createTimeLabels(settings.zone, data.times[data.times.length - 1] ?? 0, data.daily ?? false);
    shown.forEach((series) => chart.removeSeries(series));
    chart.applyOptions({
      layout: { textColor: colors.text, panes: { separatorColor: colors.grid, separatorHoverColor: colors.grid } },
      grid: { vertLines: { color: colors.grid }, horzLines: { color: colors.grid } },
      crosshair: { vertLine: { color: colors.text, labelBackgroundColor: colors.ink }, horzLine: { color: colors.text, labelBackgroundColor: colors.ink } },
      rightPriceScale: { borderColor: colors.grid },
      timeScale: { borderColor: colors.grid, tickMarkFormatter: labels.tick },
      localization: { timeFormatter: labels.fullOfAxis },
    });
    shown = addSeries(chart, data, { colors, toAxis: labels.toAxis, levels: levels.map(({ value }) => value), gaps });
    const main = shown[0];
    main.attachPrimitive(createGapShading(gaps, (seconds) => positionOf(data.times, seconds), colors.gap));
    for (const { value, label } of levels) {
      main.createPriceLine({ price: value, title: label, color: colors.mark, lineWidth: 1, lineStyle: LightweightCharts.LineStyle.Dashed, axisLabelVisible: true });
    }
    LightweightCharts.createSeriesMarkers(main, markers.map(marker));
    if (range) chart.timeScale().setVisibleLogicalRange(range);
    else chart.timeScale().fitContent();
    showValues(null);
  }

  function marker({ time, label, direction }) {
    const up = direction === "up";
    const bar = barAt(data.times, time);
    const share = bar / data.times.length;
    const fits = markers.length <= MAX_MARKERS_WITH_TEXT && share > EDGE && share < 1 - EDGE;
    return {
      time: labels.toAxis(data.times[bar]),
      position: up ? "belowBar" : "aboveBar",
      shape: up ? "arrowUp" : "arrowDown",
      color: colors.mark,
      text: fits ? label : "",
    };
  }

  function newest() {
    return newestOf(data.kind === "percent" ? data.lines[0].values : data.close);
  }

  function showValues(index) {
    if (!data?.times.length) return;
    const at = index ?? Math.max(0, newest());
    const time = data.times[at];
    const notes = markers.filter((each) => barAt(data.times, each.time) === at).map(({ label }) => `Alert: ${label}`);
    const gap = gaps.find(([start, end]) => start <= time && time < end);
    legend.show(data, index, labels.full(time), gap ? [...notes, gap[2]] : notes, colors);
  }

  function select(index) { // by keyboard
    selected = Math.min(data.times.length - 1, Math.max(0, index));
    const price = (data.kind === "percent" ? data.lines[0].values : data.close)[selected];
    if (price === null) chart.clearCrosshairPosition();
    else chart.setCrosshairPosition(price, labels.toAxis(data.times[selected]), shown[0]);
    showValues(selected);
    announcement.textContent = legend.element.textContent;
  }

  function zoom(factor) {
    moved = true;
    const range = chart.timeScale().getVisibleLogicalRange();
    if (!range) return;
    const center = selected ?? (range.from + range.to) / 2;
    const [from, to] = [center - (center - range.from) * factor, center + (range.to - center) * factor];
    if (to - from < 5) return;
    if (to - from >= data.times.length) chart.timeScale().fitContent();
    else chart.timeScale().setVisibleLogicalRange({ from: Math.max(-0.5, from), to: Math.min(data.times.length - 0.5, to) });
  }

  function pressed(event) {
    if (!data?.times.length || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = selected ?? newest();
    const step = event.shiftKey ? 10 : 1;
    const actions = {
      ArrowLeft: () => select(at - (selected === null ? 0 : step)), ArrowRight: () => select(at + step),
      Home: () => select(0), End: () => select(data.times.length - 1),
      "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), 0: () => chart.timeScale().fitContent(),
      Escape: () => { selected = null; chart.clearCrosshairPosition(); showValues(null); },
    };
    if (!(event.key in actions)) return;
    event.preventDefault();
    actions[event.key]();
  }

  container.addEventListener("keydown", pressed);
  plot.addEventListener("pointerdown", () => { moved = true; });
  plot.addEventListener("wheel", (event) => { // without Ctrl, the page scrolls
    if (!event.ctrlKey || !data) return;
    event.preventDefault();
    zoom(event.deltaY < 0 ? 0.8 : 1.25);
  }, { passive: false });
  chart.subscribeCrosshairMove(({ logical, point }) => {
    if (!data?.times.length || (selected !== null && !point)) return;
    if (point) selected = null;
    showValues(point && logical !== undefined && logical >= 0 && logical < data.times.length ? Math.round(logical) : null);
  });
  chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
    if (!range || !data?.times.length || !settings.onRangeChange) return;
    const whole = range.from <= 0.5 && range.to >= data.times.length - 1.5;
    if (!moved) return;
    if (whole) settings.onRangeChange();
    else settings.onRangeChange(data.times[Math.max(0, Math.floor(range.from))], data.times[Math.min(data.times.length - 1, Math.ceil(range.to))]);
  });
  document.addEventListener("theme", () => draw({ fit: false })); // see theme.js

  return {
    setData(next, { fit = true } = {}) { data = next; selected = null; draw({ fit }); },
    setGaps(next) { gaps = next; draw({ fit: false }); },
    setLevels(next) { levels = next; draw({ fit: false }); },
    setMarkers(next) { markers = [...next].sort((a, b) => a.time - b.time); draw({ fit: false }); },
    show(next, extras = {}) { // data with gaps, levels and markers, in one redraw; `extras` change options
      Object.assign(settings, extras);
      container.setAttribute("aria-label", settings.label);
      ({ gaps = [], levels = [] } = next);
      markers = [...(next.markers ?? [])].sort((a, b) => a.time - b.time);
      data = next;
      [selected, moved] = [null, false];
      draw();
    },
    zoom,
    reset: () => chart.timeScale().fitContent(),
    extent: () => extentOf(data.kind === "percent" ? data.lines.flatMap(({ values }) => values) : data.close),
    remove: () => chart.remove(),
  };
}

function fixedOptions() {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  return {
    autoSize: true,
    layout: { background: { color: "transparent" }, attributionLogo: false, fontFamily: getComputedStyle(document.body).fontFamily, panes: { enableResize: false } },
    timeScale: { timeVisible: true, secondsVisible: false, fixLeftEdge: true, fixRightEdge: true, minBarSpacing: 0.05, lockVisibleTimeRangeOnResize: true },
    crosshair: { mode: LightweightCharts.CrosshairMode.Magnet },
    handleScroll: { mouseWheel: false, pressedMouseMove: true, horzTouchDrag: true, vertTouchDrag: false },
    handleScale: { mouseWheel: false, pinch: true, axisPressedMouseMove: { time: true, price: false }, axisDoubleClickReset: true },
    kineticScroll: { touch: !still, mouse: false },
  };
}
