// The overview: what its modules do once the table is there.

if (document.getElementById("coins")) {
  await import("./table.js");
  await import("./markets.js");
  await import("./currency.js");
  await import("./live.js");
}
