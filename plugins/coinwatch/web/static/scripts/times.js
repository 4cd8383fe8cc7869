// Times in the reader's time zone and locale, and ages that count on. Without JavaScript, pages show UTC.
//
// <time datetime="…Z" data-format="minutes">   date and time with the zone; FORMATS lists the others
// <time datetime="…Z" data-age>                "3 min ago", updated every second
// <span data-time-zone>UTC</span>              the name of the zone, for headings above times without one

const locale = undefined; // the browser's
export const timeZone = Intl.DateTimeFormat(locale).resolvedOptions().timeZone ?? "UTC";

const DATE = { year: "numeric", month: "short", day: "numeric" };
const MINUTE = { hour: "2-digit", minute: "2-digit" };
const SECOND = { ...MINUTE, second: "2-digit" };
const ZONE = { timeZoneName: "short" };
const FORMATS = Object.fromEntries(Object.entries({
  date: DATE,
  time: { ...SECOND, ...ZONE }, // of today
  minutes: { ...DATE, ...MINUTE, ...ZONE },
  seconds: { ...DATE, ...SECOND, ...ZONE },
  "cell-minutes": { ...DATE, ...MINUTE }, // below a heading with the zone
  "cell-seconds": { ...DATE, ...SECOND },
}).map(([name, options]) => [name, new Intl.DateTimeFormat(locale, options)]));

const skew = Date.parse(document.body.dataset.now) - Date.now(); // of the server's clock against the device's

/** The current time according to the server, in milliseconds: ages don't depend on the device's clock. */
export function serverNow() {
  return Date.now() + skew;
}

/** A time in the reader's zone: a Date, milliseconds or an ISO text, in one of FORMATS. */
export function formatTime(moment, format = "minutes") {
  return FORMATS[format].format(new Date(moment));
}

/** How long ago something happened, in seconds, in the format of format_age in formatting.py. */
export function formatAge(seconds) {
  const age = Math.max(0, Math.floor(seconds));
  if (age < 60) return `${age} s ago`;
  if (age < 3600) return `${Math.floor(age / 60)} min ago`;
  if (age < 2 * 86400) return `${Math.floor(age / 3600)} h ago`;
  return `${Math.floor(age / 86400)} d ago`;
}

function setText(element, text) { // untouched if equal, so that selections and screen readers aren't disturbed
  if (element.textContent !== text) element.textContent = text;
}

function updateAges() {
  const now = serverNow();
  for (const time of document.querySelectorAll("time[data-age]")) {
    setText(time, formatAge((now - Date.parse(time.dateTime)) / 1000));
  }
}

function localize(time) {
  if (time.dataset.localized === time.dateTime) return;
  time.dataset.localized = time.dateTime;
  const format = time.dataset.format;
  if (format) setText(time, formatTime(time.dateTime, format));
  const utc = `${time.dateTime.slice(0, 19).replace("T", " ")} UTC`;
  time.title = format ? utc : `${utc}\n${formatTime(time.dateTime, "seconds")}`;
}

function localizeAll(root) {
  for (const time of root.querySelectorAll("time[datetime]")) localize(time);
  for (const zone of root.querySelectorAll("[data-time-zone]")) setText(zone, timeZone);
}

localizeAll(document);
updateAges();
setInterval(updateAges, 1000);
new MutationObserver((changes) => { // what other scripts add or change
  for (const { target } of changes) localizeAll(target.parentElement ?? target);
  updateAges();
}).observe(document.body, { childList: true, subtree: true, attributeFilter: ["datetime"] });
