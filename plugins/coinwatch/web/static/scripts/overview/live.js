// Updates the overview from the stream, and says whether it is up to date.

import { follow } from "../event_stream.js";
import { formatTime, serverNow } from "../times.js";
import { convertRow, updateRates } from "./currency.js";
import { refreshMarkets } from "./markets.js";

const table = document.getElementById("coins");
const state = document.getElementById("live");
const text = document.getElementById("live-state");
const problems = document.getElementById("problems");
const staleAfter = Number(table.dataset.staleAfter) * 1000;
const PATIENCE_MILLISECONDS = 5_000; // a reconnection that takes no longer isn't a problem
const MAX_FLASHES = 50; // animating all rows of a long table would take seconds
const WINDOWS = ["1h", "24h", "7d"];
let updatedAt = serverNow();
let warning;

function setState(name) {
  state.dataset.state = name;
  if (name === "live") {
    clearTimeout(warning);
    warning = undefined;
    state.classList.remove("warning");
    text.textContent = "Live";
  } else {
    if (state.dataset.wasLive === "true") updatedAt = serverNow();
    text.textContent = state.classList.contains("warning") ? text.textContent : "Reconnecting…";
    warning ??= setTimeout(() => {
      state.classList.add("warning");
      text.textContent = `Not updated since ${formatTime(updatedAt, "time")}. Reconnecting…`;
    }, PATIENCE_MILLISECONDS);
  }
  state.dataset.wasLive = String(name === "live");
}

function setChange(cell, percent) {
  if (percent === null) {
    cell.textContent = "–";
    cell.className = "change none";
    return;
  }
  const data = cell.querySelector("data") ?? cell.appendChild(document.createElement("data"));
  if (cell.firstChild !== data) cell.replaceChildren(data);
  data.className = "change";
  data.value = percent; // numbers.js formats it
  const rounded = Math.abs(percent) < 0.00005 ? 0 : Math.sign(percent);
  cell.className = `change ${["down", "none", "up"][rounded + 1]}`;
}

function setVolume(cell, volume, quote) {
  if (volume === null) return;
  let data = cell.querySelector("data");
  if (!data) {
    data = document.createElement("data");
    data.className = "compact";
    const unit = document.createElement("span");
    unit.className = "unit";
    unit.textContent = quote;
    cell.replaceChildren(data, " ", unit);
  }
  data.value = volume;
}

function showPrice(price, flash) {
  const body = document.getElementById(price.coin);
  if (!body || body.parentElement !== table) return; // a coin added since the page was loaded
  const cell = body.querySelector(".price-cell");
  if (cell.dataset.quote !== price.quote) return;
  const data = cell.querySelector("data");
  const time = body.querySelector(".updated time");
  const changed = Number(data.value) !== price.price;
  if (!changed && time.dateTime === price.observed_at) return; // repeated after connecting
  data.value = price.price;
  WINDOWS.forEach((name, index) => setChange(body.querySelector(`td:nth-child(${index + 3})`), price.changes_percent[name]));
  setVolume(body.querySelector(".volume"), price.volume_24h, price.quote);
  time.dateTime = price.observed_at;
  convertRow(body);
  refreshMarkets(body);
  if (changed && flash) body.classList.add("changed"); // until the animation ends
}

function markStale() {
  for (const body of table.tBodies) {
    const cell = body.querySelector(".updated");
    const stale = serverNow() - Date.parse(cell.querySelector("time").dateTime) > staleAfter;
    if (stale === body.classList.contains("stale")) continue;
    body.classList.toggle("stale", stale);
    cell.querySelector(".badge")?.remove();
    if (!stale) continue;
    const badge = document.createElement("span");
    badge.className = "badge";
    badge.textContent = "stale";
    cell.prepend(badge, " ");
  }
}

function showProblems(exchanges) { // as _problems.html
  const link = problems.querySelector("a");
  const notice = document.createElement("div");
  notice.className = "warning problems";
  notice.role = "note";
  for (const exchange of exchanges) {
    const line = document.createElement("p");
    const name = document.createElement("strong");
    name.textContent = exchange.name;
    line.append(name, ` ${exchange.reason}`);
    if (exchange.since) {
      const time = document.createElement("time");
      time.dateTime = exchange.since;
      time.dataset.format = "minutes"; // times.js formats it
      line.append(". The last price is from ", time);
    }
    line.append(".");
    notice.append(line);
  }
  if (link) notice.append(link);
  problems.replaceChildren(...(exchanges.length ? [notice] : []));
}

function reload() { // after a reset: too much has happened to continue; not again and again
  const before = Number(sessionStorage.getItem("coinwatch.reloaded") ?? 0);
  if (Date.now() - before < 60_000) return;
  sessionStorage.setItem("coinwatch.reloaded", Date.now());
  location.reload();
}

function handle({ type, data }) {
  const content = JSON.parse(data);
  updatedAt = serverNow();
  if (type === "prices") {
    for (const price of content.prices) showPrice(price, content.prices.length <= MAX_FLASHES);
    updateRates(content.rates, new Date(serverNow()).toISOString());
    markStale();
  } else if (type === "exchanges") {
    showProblems(content.exchanges);
  } else if (type === "reset") {
    reload();
  }
}

table.addEventListener("animationend", (event) => event.target.closest("tbody")?.classList.remove("changed"));
setInterval(markStale, 5_000);
follow(`${table.dataset.stream}?events=prices,exchanges`, { position: table.dataset.position, onEvent: handle, onState: setState });
