// Search, sorting and favourites of the overview, without loading the page again; sorting.py does the first two without scripts.

import { load, save } from "../stored.js";

const table = document.getElementById("coins");
const original = [...table.tBodies];
const favourites = new Set(load("favourites", []));
const search = document.getElementById("q");
const found = document.getElementById("found");
let order = { column: table.querySelector("[aria-sort]")?.dataset.column ?? "", descending: false };
order.descending = table.querySelector("[aria-sort]")?.ariaSort === "descending";

const number = (body, selector) => {
  const value = body.querySelector(selector)?.value;
  return value === undefined ? null : Number(value);
};
const VALUES = { // as in sorting.py; null if unknown
  name: (body) => body.dataset.name.toLowerCase(),
  price: (body) => number(body, ".price-cell data"),
  "1h": (body) => number(body, "td:nth-child(3) data"),
  "24h": (body) => number(body, "td:nth-child(4) data"),
  "7d": (body) => number(body, "td:nth-child(5) data"),
  volume: (body) => number(body, ".volume data"),
  exchanges: (body) => Number.parseInt(body.querySelector(".markets-link").textContent, 10),
  age: (body) => -Date.parse(body.querySelector(".updated time").dateTime),
};

function compare(first, second) { // -1, 0 or 1
  return first < second ? -1 : Number(first > second);
}

function sorted() {
  const value = VALUES[order.column];
  const bodies = original.map((body, position) => ({ body, position, value: value?.(body) ?? null }));
  const direction = order.descending ? -1 : 1;
  bodies.sort((first, second) => Number(favourites.has(second.body.id)) - Number(favourites.has(first.body.id))
    || Number(first.value === null) - Number(second.value === null)
    || direction * compare(first.value, second.value)
    || first.position - second.position);
  return bodies.map(({ body }) => body);
}

/** Puts the rows in order: favourites first, then by the chosen column, then as configured. */
export function arrange() {
  const wanted = sorted();
  if (wanted.some((body, index) => body !== table.tBodies[index])) {
    const focused = document.activeElement;
    table.append(...wanted); // moves them
    if (focused !== document.body) focused.focus({ preventScroll: true });
  }
}

function choose(column, first) {
  const same = order.column === column;
  order = { column, descending: same ? !order.descending : first === "desc" };
  for (const heading of table.querySelectorAll("thead [data-column]")) {
    if (heading.dataset.column === column) heading.ariaSort = order.descending ? "descending" : "ascending";
    else heading.removeAttribute("aria-sort");
  }
  const url = new URL(location);
  url.searchParams.set("sort", column);
  url.searchParams.set("order", order.descending ? "desc" : "asc");
  history.replaceState(null, "", url);
  arrange();
}

function filter() {
  const wanted = search.value.trim().toLowerCase();
  let count = 0;
  for (const body of original) {
    body.hidden = !(body.id.toLowerCase().includes(wanted) || body.dataset.name.toLowerCase().includes(wanted));
    count += Number(!body.hidden);
  }
  found.className = wanted ? "note" : "visually-hidden";
  found.textContent = wanted ? `${count} of ${original.length} coins` : "";
  table.hidden = count === 0;
  const url = new URL(location);
  if (wanted) url.searchParams.set("q", search.value.trim());
  else url.searchParams.delete("q");
  history.replaceState(null, "", url);
}

function addSortButtons() { // buttons instead of links that load the page
  for (const link of table.querySelectorAll("thead a")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = link.textContent;
    const { column } = link.closest("th").dataset;
    button.addEventListener("click", () => choose(column, link.dataset.first));
    link.replaceWith(button);
  }
}

function addStars() {
  for (const body of original) {
    const star = document.createElement("button");
    star.type = "button";
    star.className = "star";
    star.ariaLabel = `Favourite ${body.dataset.name}`;
    star.ariaPressed = String(favourites.has(body.id));
    body.querySelector(".coin").prepend(star);
  }
  table.addEventListener("click", (event) => {
    const star = event.target.closest(".star");
    if (!star) return;
    const { id } = star.closest("tbody");
    if (!favourites.delete(id)) favourites.add(id);
    star.ariaPressed = String(favourites.has(id));
    save("favourites", [...favourites]);
    arrange();
  });
}

addSortButtons();
addStars();
if (favourites.size) arrange();
search.form.querySelector("button").hidden = true;
search.form.addEventListener("submit", (event) => event.preventDefault());
search.addEventListener("input", filter);
if (search.value) filter(); // also what the browser restored
