// Inside Airflow's frame: follow Airflow's light or dark theme. Runs before the first paint.
"use strict";

if (window.parent !== window) {
  const airflow = window.parent.document.documentElement; // same origin, because of our frame-ancestors
  const applyTheme = () => {
    const dark = airflow.classList.contains("dark");
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    document.dispatchEvent(new Event("theme"));
  };
  applyTheme();
  new MutationObserver(applyTheme).observe(airflow, { attributeFilter: ["class"] });
}
