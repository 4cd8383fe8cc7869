// The coin page: an interactive chart, changes without loading the page, and new prices as they arrive.
//
// The server renders every view, and its data for the chart in #chart-data. A change fetches the page of the new view, replaces
// #view by its own and keeps the chart, whose data it exchanges.

import { createPriceChart } from "./charts/price_chart.js";
import { follow } from "./event_stream.js";
import { timeZone } from "./times.js";

let chart = null, element = null, request = null, zoomed = null;
const find = (id) => document.getElementById(id);

document.documentElement.classList.add("has-script");

function showChart() {
  const placeholder = find("chart");
  if (!placeholder || typeof LightweightCharts === "undefined") return;
  const { label, unit, base, zone } = placeholder.dataset;
  const options = { label, unit, base, zone: zone || timeZone };
  if (element) {
    placeholder.replaceWith(element);
  } else {
    element = placeholder;
    chart = createPriceChart(element, { ...options, onRangeChange: showZoom });
  }
  showZoom();
  const data = JSON.parse(find("chart-data").textContent);
  chart.show(data, options);
  find("zone").textContent = data.daily ? "UTC" : options.zone.replaceAll("_", " ");
}

function prepareForm() { // times of a custom range in the reader's time zone, unless the address names one
  const placeholder = find("chart");
  if (placeholder?.dataset.zone || document.querySelector("#controls [name=tz]")) return;
  for (const input of document.querySelectorAll("#controls [data-time]")) {
    const moment = new Date(input.dataset.time);
    if (Number.isNaN(moment.getTime())) continue; // an invalid time that was entered
    input.value = new Date(moment - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
  }
  for (const name of document.querySelectorAll(".input-zone")) name.textContent = timeZone.replaceAll("_", " ");
}

function queryOf(form, submitter) { // without fields that don't matter; times with their offset
  const fields = new FormData(form, submitter?.name ? submitter : null);
  const query = new URLSearchParams();
  const range = fields.getAll("range").pop();
  for (const name of ["exchange", "type", "tz"]) {
    const value = fields.get(name);
    if (value && value !== "candles") query.set(name, value);
  }
  query.set("range", range);
  if (range === "custom") {
    for (const name of ["start", "end"]) {
      const value = fields.get(name);
      const moment = new Date(value);
      query.set(name, fields.has("tz") || Number.isNaN(moment.getTime()) ? value : moment.toISOString().replace(".000", ""));
    }
  }
  for (const name of ["compare", "ma"]) {
    if (fields.has(name)) query.set(name, fields.getAll(name).join(","));
  }
  return query;
}

async function load(query, { quietly = false } = {}) {
  request?.abort();
  request = new AbortController();
  const view = find("view");
  if (!quietly) view.setAttribute("aria-busy", "true");
  const address = `${location.pathname}?${query}`;
  try {
    const response = await fetch(address, { signal: request.signal, headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const fresh = page.getElementById("view");
    if (!response.ok || !fresh) throw new Error(page.querySelector("main p")?.textContent);
    if (quietly && isOccupied()) return;
    replaceView(view, document.adoptNode(fresh));
    history.replaceState(null, "", address);
  } catch (error) {
    if (error.name === "AbortError" || quietly) return;
    view.removeAttribute("aria-busy");
    find("load-error").textContent = `This view couldn't be loaded. ${error.message && error.name === "Error" ? error.message : "Check your connection and try again."}`;
  }
}

// Whether the reader is looking at something that a new price would change.
function isOccupied() {
  const view = find("view");
  return !("moves" in view.dataset) || zoomed || view.hasAttribute("aria-busy") || find("custom-range").open || !getSelection().isCollapsed;
}

function update({ type, data }) { // shows the range up to now
  if (type !== "prices") return;
  const { streamedAt } = find("view").dataset;
  const isNew = JSON.parse(data).prices.some((price) => !streamedAt || Date.parse(price.observed_at) > Date.parse(streamedAt));
  if (isNew && !isOccupied()) load(new URL(location.href).searchParams, { quietly: true });
}

function replaceView(view, fresh) { // keeps the focus and open panels
  const focused = document.activeElement;
  const path = focused?.id ? `#${CSS.escape(focused.id)}` : focused?.matches?.("[data-view]") ? `[data-view][aria-label="${focused.getAttribute("aria-label")}"]` : null;
  for (const panel of view.querySelectorAll("details[open]")) {
    const same = fresh.querySelector(`#${panel.id}`);
    if (same && panel.id !== "custom-range") same.open = true;
  }
  element?.remove();
  view.replaceWith(fresh);
  prepare();
  if (path && !fresh.contains(document.activeElement)) fresh.querySelector(path)?.focus({ preventScroll: true });
}

function showZoom(start, end) {
  zoomed = start === undefined ? null : { start, end };
  const actions = find("zoomed");
  if (actions) actions.hidden = zoomed === null;
}

async function copyLink(event) {
  event.preventDefault();
  const { href } = event.currentTarget;
  try {
    await navigator.clipboard.writeText(href);
    find("copied").textContent = "Copied.";
  } catch { // not allowed, or the page was not loaded over https
    const field = Object.assign(document.createElement("input"), { value: href, readOnly: true, ariaLabel: "Link to this view" });
    find("copied").replaceChildren(field);
    field.select();
  }
}

function prepare() {
  const form = find("controls");
  prepareForm();
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    load(queryOf(form, event.submitter));
  });
  form.addEventListener("change", (event) => {
    if (!event.target.matches("[type=datetime-local]")) load(queryOf(form));
  });
  for (const link of find("view").querySelectorAll("a[data-view]")) {
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
      event.preventDefault();
      load(new URL(link.href).searchParams);
    });
  }
  const permalink = find("permalink");
  if (permalink) {
    permalink.textContent = "Copy link";
    permalink.title = "Copies a link to this view, with its time range";
    permalink.addEventListener("click", copyLink);
  }
  find("reset-zoom")?.addEventListener("click", () => chart.reset());
  find("show-zoomed")?.addEventListener("click", () => {
    const query = new URL(find("permalink").href).searchParams;
    query.set("start", new Date(zoomed.start * 1000).toISOString());
    query.set("end", new Date(zoomed.end * 1000).toISOString());
    load(query);
  });
  showChart();
}

prepare();
const { stream, position } = find("view").dataset;
follow(stream, { position, onEvent: update, onState: () => {} });
