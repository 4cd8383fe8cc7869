// Numbers in the reader's locale, with the digits of formatting.py. Without JavaScript, pages show the American format.
//
// <data value="94197.123" class="price">94,197.12</data>; the classes are those of FORMATS

const locale = undefined; // the browser's
const PRICE_DIGITS = 6;
const AMOUNT_DIGITS = 3;
const MAX_DECIMALS = 100; // what Intl supports

const cache = new Map(); // creating a formatter takes longer than using it

function format(value, options) {
  const key = JSON.stringify(options);
  if (!cache.has(key)) cache.set(key, new Intl.NumberFormat(locale, options));
  return cache.get(key).format(value);
}

function exponent(value) {
  return Number(value.toExponential().split("e")[1]);
}

function significant(value, digits) {
  const decimals = Math.min(MAX_DECIMALS, Math.max(2, digits - 1 - exponent(value)));
  return format(value, { minimumFractionDigits: 2, maximumFractionDigits: decimals, roundingMode: "halfEven" });
}

/** A price in its quote currency: six significant digits, at least two decimals. */
export function formatPrice(value) {
  return significant(value, PRICE_DIGITS);
}

/** A traded amount: whole numbers from 1,000, three significant digits and two decimals below. */
export function formatAmount(value) {
  if (Math.abs(value) >= 1000) return format(value, { maximumFractionDigits: 0, roundingMode: "halfEven" });
  return significant(value, AMOUNT_DIGITS);
}

/** A sum of money or an amount in at most four characters and a unit: 1.23B. */
export function formatCompact(value) {
  return format(value, { notation: "compact", minimumSignificantDigits: 3, maximumSignificantDigits: 3 });
}

function percentOptions(value, decimals) { // a value that would round to zero shows its first digit, down to 0.0001
  const size = Math.abs(value);
  const tiny = size >= 0.0001 && size < 0.5 * 10 ** -decimals;
  const common = { style: "percent", signDisplay: "negative" };
  return tiny ? { ...common, maximumSignificantDigits: 1 } : { ...common, maximumFractionDigits: decimals };
}

/** A percentage that is not a change, from a value in percent. */
export function formatPercent(value) {
  return format(value / 100, percentOptions(value, 2));
}

/** A change with its sign, from a value in percent: always two decimals, so that columns line up. */
export function formatChange(value) {
  const options = { ...percentOptions(value, 2), signDisplay: "exceptZero" };
  if (!options.maximumSignificantDigits) options.minimumFractionDigits = 2;
  return format(value / 100, options);
}

/** A number of things. */
export function formatCount(value) {
  return format(value, { maximumFractionDigits: 0 });
}

export const FORMATS = {
  price: formatPrice,
  amount: formatAmount,
  compact: formatCompact,
  percent: formatPercent,
  change: formatChange,
  count: formatCount,
};

function localizeAll(root) {
  for (const data of root.querySelectorAll("data[value]")) {
    const name = [...data.classList].find((each) => each in FORMATS);
    if (!name || data.dataset.localized === data.value) continue;
    data.dataset.localized = data.value;
    const text = FORMATS[name](Number(data.value));
    if (data.textContent !== text) data.textContent = text;
  }
}

localizeAll(document);
new MutationObserver((changes) => { // what other scripts add or change
  for (const { target } of changes) localizeAll(target.parentElement ?? target);
}).observe(document.body, { childList: true, subtree: true, attributeFilter: ["value"] });
