// Fetches the table of prices again and again, and says so when it cannot.
"use strict";

const table = document.getElementById("prices");
const note = document.getElementById("freshness");
const every = Number(table.dataset.every) * 1000;
let updated = serverTime();

function serverTime() { // skew comes from times.js
  return new Date(Date.now() + skew);
}

function clockTime(moment) {
  return moment.toLocaleTimeString(undefined, { timeStyle: "long" });
}

function show(html) {
  const before = new Map([...table.querySelectorAll("[data-instrument]")].map(
    (row) => [row.dataset.instrument, row.querySelector(".price").textContent]));
  const focused = document.activeElement?.closest("#prices a")?.getAttribute("href");
  table.innerHTML = html;
  for (const row of table.querySelectorAll("[data-instrument]")) {
    const price = before.get(row.dataset.instrument);
    if (price !== undefined && price !== row.querySelector(".price").textContent) row.classList.add("fresh");
  }
  if (focused) [...table.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus();
}

function report(problem) {
  note.classList.toggle("late", Boolean(problem));
  note.ariaLive = problem ? "polite" : "off"; // nobody wants to hear every few seconds that all is well
  const told = problem
    ? `Not updated since ${clockTime(updated)}: ${problem}. Trying again every ${every / 1000} s.`
    : `As of ${updated.toISOString().slice(0, 19).replace("T", " ")} UTC, updates by itself`;
  if (note.textContent !== told) note.textContent = told;
}

async function update() {
  if (document.hidden) return;
  try {
    const answer = await fetch(table.dataset.source, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(10000) });
    if (!answer.ok) {
      report(answer.status === 401 ? "the login has ended, please reload" : "the server cannot reach its prices");
      return;
    }
    show(await answer.text());
    updated = serverTime();
    report("");
  } catch {
    report("the server does not answer");
  }
}

report("");
setInterval(update, every);
document.addEventListener("visibilitychange", update);
