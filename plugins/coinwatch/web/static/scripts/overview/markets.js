// The exchanges of a coin, in a row below it: loaded when opened, and again when its price has changed.

const table = document.getElementById("coins");
const REFRESH_MILLISECONDS = 10_000; // at most every 10 seconds

function showMarkets(body, html) {
  body.querySelector(".markets")?.remove();
  const row = body.insertRow();
  row.className = "markets";
  row.role = "row";
  const cell = row.insertCell();
  cell.role = "cell";
  cell.colSpan = 9;
  cell.innerHTML = html; // from our own server, which escapes it
}

async function load(body) {
  body.dataset.loadedAt = Date.now();
  const url = table.dataset.prices + encodeURIComponent(body.id);
  try {
    const response = await fetch(url, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(10_000) });
    if (!response.ok) throw new Error(response.status);
    const html = await response.text();
    if (isOpen(body)) showMarkets(body, html);
  } catch {
    if (isOpen(body)) showMarkets(body, "<p class=\"warning\">The prices of the exchanges can't be loaded. Close and open this row to try again.</p>");
  }
}

function isOpen(body) {
  return body.querySelector(".markets-link button").ariaExpanded === "true";
}

/** Loads the exchanges of a coin again, if they are shown. */
export function refreshMarkets(body) {
  if (isOpen(body) && Date.now() - Number(body.dataset.loadedAt) > REFRESH_MILLISECONDS) load(body);
}

for (const link of table.querySelectorAll(".markets-link a")) { // buttons instead of links that load the page
  const button = document.createElement("button");
  button.type = "button";
  button.append(...link.childNodes);
  button.ariaExpanded = String(link.closest("tbody").querySelector(".markets") !== null);
  link.replaceWith(button);
}
table.addEventListener("click", (event) => {
  const button = event.target.closest(".markets-link button");
  if (!button) return;
  const body = button.closest("tbody");
  button.ariaExpanded = String(!isOpen(body));
  if (isOpen(body)) load(body);
  else body.querySelector(".markets")?.remove();
});
