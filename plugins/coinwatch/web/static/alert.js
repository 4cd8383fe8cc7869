// The form for an alert: offers only what goes together, and says by itself how often the rule would have told.
"use strict";

const form = document.getElementById("alert");
const section = document.getElementById("preview");
const answer = document.getElementById("answer");
const past = document.getElementById("past");
const PAUSE = 700; // milliseconds after the last change: nobody wants to hear about half a number
let waiting;
let asking;

function offer(select, allowed) { // leaves the other options out; what is chosen stays while it is possible
  for (const option of select.options) {
    option.hidden = option.disabled = option.value !== "" && !allowed.includes(option.value);
  }
  if (select.selectedOptions[0]?.disabled) select.value = "";
}

function narrow() {
  const markets = JSON.parse(form.dataset.markets)[form.coin.value];
  if (!markets) return;
  offer(form.exchange, Object.keys(markets));
  if (!form.quote) return;
  const quotes = markets[form.exchange.value] ?? [];
  offer(form.quote, quotes);
  form.quote.closest(".field").hidden = quotes.length < 2 && !form.quote.value;
}

function say(text, isWarning) {
  const line = document.createElement("p");
  line.className = isWarning ? "late" : "note";
  line.textContent = text;
  answer.replaceChildren(line);
  past.replaceChildren();
}

function mistakes(page) { // the sentences at the fields, with the fields' names
  return [...page.querySelectorAll("#alert .problem")].map((problem) => {
    const label = problem.parentElement.querySelector("label, legend")?.firstChild.textContent.trim();
    return problem.id && label ? `${label}: ${problem.textContent}` : problem.textContent;
  });
}

async function ask() {
  clearTimeout(waiting);
  asking?.abort();
  const mine = asking = new AbortController();
  const typed = new URLSearchParams(new FormData(form));
  typed.delete("email");
  section.classList.add("busy");
  section.setAttribute("aria-busy", "true");
  try {
    const source = section.querySelector("button").formAction;
    const reply = await fetch(source, { method: "POST", body: typed, headers: { Accept: "text/html" }, signal: mine.signal });
    const page = new DOMParser().parseFromString(await reply.text(), "text/html");
    const found = page.getElementById("answer");
    if (reply.ok && found) {
      answer.replaceChildren(...found.childNodes);
      past.replaceChildren(...page.getElementById("past").childNodes);
    } else {
      say(mistakes(page).join(" ") || "That did not work. Please try again in a minute.", true);
    }
  } catch (error) {
    if (error.name === "AbortError") return;
    say("The server does not answer. Please try again in a minute.", true);
  }
  if (asking !== mine) return;
  section.classList.remove("busy");
  section.removeAttribute("aria-busy");
}

function changed(event) {
  if (event.target === form.email) return;
  narrow();
  clearTimeout(waiting);
  const number = form.kind.value === "crosses" ? form.level : form.threshold_percent;
  if (number.value.trim()) waiting = setTimeout(ask, PAUSE);
}

if (form) {
  narrow();
  form.addEventListener("input", changed);
  section.querySelector("button").addEventListener("click", (event) => {
    event.preventDefault();
    ask();
  });
}
