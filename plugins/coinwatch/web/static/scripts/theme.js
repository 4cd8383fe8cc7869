// Light or dark: as chosen in the header, or else as the system; inside Airflow as Airflow. Runs before the first paint.
"use strict";

(() => {
  const KEY = "coinwatch.theme";
  const root = document.documentElement;

  function apply(theme) { // "light", "dark", or "" for the system's
    if (theme) root.dataset.theme = theme;
    else delete root.dataset.theme;
    document.dispatchEvent(new Event("theme")); // charts draw themselves again
  }

  function stored() { // storage may be disabled
    try { return localStorage.getItem(KEY) ?? ""; } catch { return ""; }
  }

  function store(theme) {
    try { localStorage.setItem(KEY, theme); } catch { /* the choice lasts until the page is left */ }
  }

  function followAirflow() {
    const airflow = window.parent.document.documentElement; // same origin, because of our frame-ancestors
    const copy = () => apply(airflow.classList.contains("dark") ? "dark" : "light");
    copy();
    new MutationObserver(copy).observe(airflow, { attributeFilter: ["class"] });
  }

  function offerChoice() {
    const select = document.getElementById("theme");
    select.value = stored();
    select.closest("[hidden]").hidden = false;
    select.addEventListener("change", () => { store(select.value); apply(select.value); });
    window.addEventListener("storage", (event) => { // chosen in another tab
      if (event.key !== KEY) return;
      select.value = event.newValue ?? "";
      apply(select.value);
    });
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    if (!root.dataset.theme) apply("");
  });
  if (window.parent !== window) {
    followAirflow();
  } else {
    apply(stored());
    document.addEventListener("DOMContentLoaded", offerChoice);
  }
})();
