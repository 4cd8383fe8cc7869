// Ages count on, and every time says on hover what it is where the reader lives.
"use strict";

const skew = Date.parse(document.body.dataset.now) - Date.now(); // the server's clock, not the reader's

function ageInWords(seconds) { // the same words as wording.py
  const age = Math.max(0, Math.floor(seconds));
  if (age < 60) return `${age} s ago`;
  if (age < 3600) return `${Math.floor(age / 60)} min ago`;
  if (age < 2 * 86400) return `${Math.floor(age / 3600)} h ago`;
  return `${Math.floor(age / 86400)} d ago`;
}

function tellTimes() {
  const now = Date.now() + skew;
  for (const time of document.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if ("age" in time.dataset) time.textContent = ageInWords((now - moment) / 1000);
    if (!time.dataset.told) {
      time.dataset.told = "yes";
      time.title += `\n${moment.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" })}`;
    }
  }
}

tellTimes();
setInterval(tellTimes, 1000);
