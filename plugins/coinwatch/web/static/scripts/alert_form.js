// The form for an alert: offers only possible combinations, and updates the preview and its chart as the user types.

import { createPriceChart, lineThrough } from "./charts/price_chart.js";
import { timeZone } from "./times.js";

const form = document.getElementById("alert");
const preview = document.getElementById("preview");
const summary = document.getElementById("preview-summary");
const details = document.getElementById("preview-details");
const TYPING_PAUSE = 700; // milliseconds after the last change, so that no preview is requested for half a number
let timer = null;
let pending = null;
let chart = null;
let chartElement = null;

function allowOptions(select, allowed) { // hides the other options; the chosen one stays if it is allowed
  for (const option of select.options) {
    option.hidden = option.disabled = option.value !== "" && !allowed.includes(option.value);
  }
  if (select.selectedOptions[0]?.disabled) select.value = "";
}

function limitChoices() {
  const exchanges = JSON.parse(form.dataset.combinations)[form.coin.value];
  if (!exchanges) return;
  allowOptions(form.exchange, Object.keys(exchanges));
  if (!form.quote) return;
  const quotes = exchanges[form.exchange.value] ?? [];
  allowOptions(form.quote, quotes);
  form.quote.closest(".field").hidden = quotes.length < 2 && !form.quote.value;
}

function showMessage(text) {
  const line = document.createElement("p");
  line.className = "warning";
  line.textContent = text;
  summary.replaceChildren(line);
  details.replaceChildren();
}

function errorsOf(page) { // each with the label of its field
  return [...page.querySelectorAll("#alert .error")].map((error) => {
    const label = error.parentElement.querySelector("label, legend")?.firstChild.textContent.trim();
    return error.id && label ? `${label}: ${error.textContent}` : error.textContent;
  });
}

function showChart() { // in place of the drawing, with the same values
  const placeholder = document.getElementById("preview-chart");
  if (!placeholder || typeof LightweightCharts === "undefined") return;
  const { times, values, levels, markers, unit } = JSON.parse(document.getElementById("preview-data").textContent);
  const points = times.map((time, index) => ({ time, value: values[index] }));
  const { label } = placeholder.dataset;
  if (chartElement) placeholder.replaceWith(chartElement);
  else chartElement = placeholder;
  chart ??= createPriceChart(chartElement, { label, unit });
  document.getElementById("preview-credit").hidden = false;
  chart.show({ ...lineThrough(points), levels, markers }, { label, unit });
}

async function updatePreview() {
  clearTimeout(timer);
  pending?.abort();
  const controller = pending = new AbortController();
  const body = new URLSearchParams(new FormData(form));
  body.delete("email");
  preview.classList.add("busy");
  preview.setAttribute("aria-busy", "true");
  try {
    const url = preview.querySelector("button").formAction;
    const response = await fetch(url, { method: "POST", body, headers: { Accept: "text/html" }, signal: controller.signal });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const found = page.getElementById("preview-summary");
    if (response.ok && found) {
      summary.replaceChildren(...found.childNodes);
      details.replaceChildren(...page.getElementById("preview-details").childNodes);
      showChart();
    } else {
      showMessage(errorsOf(page).join(" ") || "Something went wrong. Try again in a minute.");
    }
  } catch (error) {
    if (error.name === "AbortError") return;
    showMessage("The server isn't responding. Try again in a minute.");
  }
  if (pending !== controller) return;
  preview.classList.remove("busy");
  preview.removeAttribute("aria-busy");
}

function handleInput(event) {
  if (event.target === form.email) return;
  limitChoices();
  clearTimeout(timer);
  const number = form.kind.value === "crosses" ? form.level : form.threshold_percent;
  if (form.kind.value.startsWith("new_") || number.value.trim()) timer = setTimeout(updatePreview, TYPING_PAUSE);
}

if (form) {
  limitChoices();
  if (form.timezone) form.timezone.value = timeZone;
  form.addEventListener("input", handleInput);
  preview.querySelector("button").addEventListener("click", (event) => {
    event.preventDefault();
    updatePreview();
  });
  if (document.getElementById("preview-data")) showChart();
  else if (!form.querySelector(".error")) updatePreview();
}
