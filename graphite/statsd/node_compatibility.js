// StatsD 0.9.0 logs with util.log, which Node 23 removed. Preloaded with `node --require`.
"use strict";
const util = require("util");

if (typeof util.log !== "function") {
  util.log = (...values) => console.log(new Date().toISOString(), "-", util.format(...values));
}
