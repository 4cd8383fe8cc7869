// Reloads the price table periodically, and says so if that fails.
import { serverNow } from "./times.js";

const table = document.getElementById("prices");
const note = document.getElementById("updated-at");
const interval = Number(table.dataset.interval) * 1000;
let updated = serverTime();

function serverTime() {
  return new Date(serverNow());
}

function clockTime(moment) {
  return moment.toLocaleTimeString(undefined, { timeStyle: "long" });
}

function showTable(html) {
  const before = new Map([...table.querySelectorAll("[data-instrument]")].map(
    (row) => [row.dataset.instrument, row.querySelector(".price").textContent]));
  const focused = document.activeElement?.closest("#prices a")?.getAttribute("href");
  table.innerHTML = html;
  for (const row of table.querySelectorAll("[data-instrument]")) {
    const price = before.get(row.dataset.instrument);
    if (price !== undefined && price !== row.querySelector(".price").textContent) row.classList.add("changed");
  }
  if (focused) [...table.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus();
}

function showStatus(problem) {
  note.classList.toggle("warning", Boolean(problem));
  note.ariaLive = problem ? "polite" : "off"; // screen readers announce problems, not every update
  const text = problem
    ? `Not updated since ${clockTime(updated)}: ${problem}. Retrying every ${interval / 1000} s.`
    : `As of ${updated.toISOString().slice(0, 19).replace("T", " ")} UTC, updates automatically`;
  if (note.textContent !== text) note.textContent = text;
}

async function update() {
  if (document.hidden) return;
  try {
    const response = await fetch(table.dataset.source, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(10000) });
    if (!response.ok) {
      showStatus(response.status === 401 ? "you're logged out, reload the page" : "the server can't read its prices");
      return;
    }
    showTable(await response.text());
    updated = serverTime();
    showStatus("");
  } catch {
    showStatus("the server isn't responding");
  }
}

showStatus("");
setInterval(update, interval);
document.addEventListener("visibilitychange", update);
