// Offers the time zone of the device, unless it is already selected.
"use strict";

const field = document.getElementById("timezone");
const button = document.getElementById("device-timezone");
const deviceZone = Intl.DateTimeFormat().resolvedOptions().timeZone;

function updateButton() {
  button.hidden = !deviceZone || field.value === deviceZone;
}

button.textContent = `Use ${deviceZone}`;
button.addEventListener("click", () => {
  field.value = deviceZone;
  updateButton();
  field.focus();
});
field.addEventListener("input", updateButton);
updateButton();
