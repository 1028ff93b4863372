-- Sends prepared bodies in turn. Arguments: file with one body a line, method, path, mean pause in
-- milliseconds, then headers as "Name: value". Prints one line that begins with RESULT.
local requests = {}
local last = 0

function init(args)
  local headers = {}
  for number = 5, #args do
    local name, value = args[number]:match("^([^:]+): (.*)$")
    headers[name] = value
  end
  for line in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format(args[2], args[3], headers, line)
  end
  local pause = tonumber(args[4])
  if pause > 0 then
    math.randomseed(7)
    delay = function() return math.floor(0.5 - pause * math.log(1 - math.random())) end
  end
end

function request()
  last = last % #requests + 1
  return requests[last]
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format(
    "RESULT requests=%d seconds=%.6f failed=%d p50=%.3f p95=%.3f p99=%.3f\n",
    summary.requests, summary.duration / 1e6, failed,
    latency:percentile(50) / 1e3, latency:percentile(95) / 1e3, latency:percentile(99) / 1e3))
end
