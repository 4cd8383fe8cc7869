// Inside Airflow's frame: be light or dark as Airflow is. Runs before anything is painted.
"use strict";

if (window.parent !== window) {
  const airflow = window.parent.document.documentElement; // same origin, by our frame-ancestors
  const follow = () => {
    const dark = airflow.classList.contains("dark");
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    document.dispatchEvent(new Event("theme"));
  };
  follow();
  new MutationObserver(follow).observe(airflow, { attributeFilter: ["class"] });
}
