// The form for alerts from a CSV file: fills in the browser's time zone.

import { timeZone } from "./times.js";

document.getElementById("bulk").timezone.value = timeZone;
