-- For wrk: requests a random instrument each time, and prints what was measured as JSON.
function init(arguments)
  path, instruments = arguments[1], tonumber(arguments[2])
  math.randomseed(os.time())
end

function request()
  return wrk.format("GET", string.format(path, math.random(instruments)))
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    'JSON {"requests": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f, "errors": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout
  ))
end
