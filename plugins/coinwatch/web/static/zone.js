// Offers the time zone of the reader's device where the page does not use it yet.
"use strict";

const zone = document.getElementById("timezone");
const offered = document.getElementById("zone-here");
const here = Intl.DateTimeFormat().resolvedOptions().timeZone;

function offerZone() {
  offered.hidden = !here || zone.value === here;
}

offered.textContent = `Use this device's: ${here}`;
offered.addEventListener("click", () => {
  zone.value = here;
  offerZone();
  zone.focus();
});
zone.addEventListener("input", offerZone);
offerZone();
