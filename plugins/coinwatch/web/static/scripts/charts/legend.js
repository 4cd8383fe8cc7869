// The values at the crosshair, or the newest ones, as text above the chart.

import { newestOf } from "./data.js";
import { formatAmount, formatChange, formatPercent, formatPrice } from "../numbers.js";

const PRICES = [["open", "Open"], ["high", "High"], ["low", "Low"], ["close", "Close"]];

export function createLegend(options) {
  const element = document.createElement("p");
  element.className = "chart-legend";

  // The values at one position, or the newest ones: a name and a text each, with a color where the chart has a line for it.
  const entries = (data, position, colors) => {
    const index = position ?? newestOf(data.close ?? []);
    const at = (values) => values[position ?? newestOf(values)];
    const found = [];
    const add = (name, key, value, format, color = null) => {
      found.push({ name, key, text: value === null || value === undefined ? "–" : format(value), color });
    };
    if (data.kind === "percent") {
      data.lines.forEach((line, number) => add(line.label, line.key ?? line.label, at(line.values), formatChange, colors.series[number]));
      if (data.spread) add("Spread", "spread", at(data.spread), formatPercent, colors.text);
      return found;
    }
    if (data.kind === "candles") {
      for (const [key, name] of PRICES) add(name, key, data[key][index], formatPrice);
      const [open, close] = [data.open[index], data.close[index]];
      if (open) add("Change", "change", (100 * (close - open)) / open, formatChange);
    } else {
      add(`Price (${options.unit})`, "close", data.close[index], formatPrice);
    }
    data.averages?.forEach((average, number) => add(average.label, average.label, at(average.values), formatPrice, colors.series[number + 1]));
    if (data.volume) add("Volume", "volume", data.volume[index], (value) => `${formatAmount(value)} ${options.base ?? ""}`.trim());
    return found;
  };

  const show = (data, position, time, notes, colors) => {
    element.replaceChildren(part("chart-time", time, "time"));
    for (const { name, key, text, color } of entries(data, position, colors)) {
      const item = part("", "", key);
      const label = document.createElement("span");
      label.className = "chart-name";
      label.textContent = name;
      if (color) label.style.borderColor = color;
      label.classList.toggle("colored", color !== null);
      const value = document.createElement("span");
      value.className = "chart-value";
      value.textContent = text;
      item.append(label, " ", value);
      element.append(" ", item);
    }
    for (const note of notes) element.append(" ", part("chart-note", note, "note"));
  };
  return { element, show };
}

function part(className, text, key) {
  const span = document.createElement("span");
  if (className) span.className = className;
  span.dataset.key = key;
  span.textContent = text;
  return span;
}
