// Updates ages every second, and adds the local time to the tooltip of every time.
"use strict";

const skew = Date.parse(document.body.dataset.now) - Date.now(); // of the server's clock against the device's

function formatAge(seconds) { // the format of format_age in formatting.py
  const age = Math.max(0, Math.floor(seconds));
  if (age < 60) return `${age} s ago`;
  if (age < 3600) return `${Math.floor(age / 60)} min ago`;
  if (age < 2 * 86400) return `${Math.floor(age / 3600)} h ago`;
  return `${Math.floor(age / 86400)} d ago`;
}

function updateTimes() {
  const now = Date.now() + skew;
  for (const time of document.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if ("age" in time.dataset) time.textContent = formatAge((now - moment) / 1000);
    if (!time.dataset.localized) {
      time.dataset.localized = "true";
      time.title += `\n${moment.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" })}`;
    }
  }
}

updateTimes();
setInterval(updateTimes, 1000);
