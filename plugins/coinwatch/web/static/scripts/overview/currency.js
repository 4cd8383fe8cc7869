// The display currency: prices and volumes converted with rates from recorded prices. The original stays in the tooltip.

import { formatCompact, formatPrice } from "../numbers.js";
import { load, save } from "../stored.js";
import { formatTime } from "../times.js";

const DOLLARS = ["USD", "USDT", "USDC"]; // as DOLLAR_LIKE in codes.py
const select = document.getElementById("currency");
const note = document.getElementById("converted");
const table = document.getElementById("coins");

const option = (currency) => [...select.options].find((each) => each.value === currency);

function inDollars(currency) { // undefined if no rate is known
  return DOLLARS.includes(currency) ? 1 : Number(option(currency)?.dataset.usd) || undefined;
}

function convertCell(cell, quote, format) {
  const data = cell.querySelector("data");
  if (!data) return;
  const unit = cell.querySelector(".unit");
  const factor = inDollars(quote) / inDollars(select.value);
  const converted = select.value && select.value !== quote && Number.isFinite(factor);
  const text = format(Number(data.value) * (converted ? factor : 1));
  if (data.textContent !== text) data.textContent = text;
  data.dataset.localized = data.value; // numbers.js leaves it alone
  data.title = converted ? `${format(Number(data.value))} ${quote}` : "";
  unit.textContent = converted ? select.value : quote;
}

/** Shows a row's price and volume in the chosen currency, after its values have changed. */
export function convertRow(body) {
  const cell = body.querySelector(".price-cell");
  const { quote } = cell.dataset;
  convertCell(cell, quote, formatPrice);
  convertCell(body.querySelector(".volume"), quote, formatCompact);
}

function convertAll() {
  for (const body of table.tBodies) convertRow(body);
  const { value, selectedOptions: [chosen] } = select;
  note.hidden = !value;
  const { usd, derived, time } = chosen.dataset;
  note.textContent = derived
    ? `Converted to ${value} at ${formatPrice(Number(usd))} US dollars (${derived}, ${formatTime(time, "time")}). USDT and USDC count as dollars.`
    : `Converted to ${value}. USDT and USDC count as dollars.`;
}

/** Takes over newer rates: the value of each currency in US dollars. */
export function updateRates(rates, moment) {
  for (const [currency, usd] of Object.entries(rates)) {
    const known = option(currency);
    if (known) [known.dataset.usd, known.dataset.time] = [usd, moment];
  }
  if (select.value) convertAll();
}

select.closest("[hidden]").hidden = false;
select.value = load("currency", "");
if (select.selectedIndex < 0) select.value = ""; // a currency without a rate at present
if (select.value) convertAll();
select.addEventListener("change", () => {
  save("currency", select.value);
  convertAll();
});
