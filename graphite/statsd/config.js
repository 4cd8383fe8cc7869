// StatsD's configuration. StatsD evaluates this file as one expression, so settings come from the environment.
// STATSD_FOLDER: the folder of this file. STATSD_GAUGE_TTL: in flushes.
{
  // UDP for Airflow, whose client supports nothing else; TCP for our gauges, because UDP loses most of a burst.
  servers: [
    { server: "./servers/udp", address: process.env.STATSD_HOST || "127.0.0.1", port: Number(process.env.STATSD_PORT || 8125) },
    { server: process.env.STATSD_FOLDER + "/tcp_server.js", address: process.env.STATSD_HOST || "127.0.0.1", port: Number(process.env.STATSD_PORT || 8125) }
  ],
  mgmt_address: "127.0.0.1",
  mgmt_port: Number(process.env.STATSD_ADMIN_PORT || 8126),

  backends: ["./backends/graphite"],
  graphiteHost: process.env.CARBON_HOST || "127.0.0.1",
  graphitePort: Number(process.env.CARBON_PORT || 2003),
  graphite: { legacyNamespace: true },

  // Must equal the first resolution in storage-schemas.conf.
  flushInterval: 10000,

  // By default, a gauge repeats its last value forever, and a stopped pipeline looks alive. Here it expires after a few
  // collection intervals; counters and timers expire at once.
  deleteGauges: true,
  gaugesMaxTTL: Number(process.env.STATSD_GAUGE_TTL || 60),
  deleteCounters: true,
  deleteTimers: true,
  deleteSets: true,

  automaticConfigReload: false
}
