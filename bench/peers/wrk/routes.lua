-- Requests to every route of every host in turn, and the result as one line that a program reads.
local requests = {}
local next_request = 0

function init(args)
  local hosts, routes = tonumber(args[1]), tonumber(args[2])
  for route = 0, routes - 1 do
    for host = 0, hosts - 1 do
      local headers = { ["Host"] = string.format("host-%d.example", host) }
      local path = string.format("/route-%d/items/42", route)
      requests[#requests + 1] = wrk.format("GET", path, headers)
    end
  end
end

function request()
  next_request = next_request % #requests + 1
  return requests[next_request]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    "result requests=%d microseconds=%d status=%d connect=%d read=%d write=%d timeout=%d p50=%d p99=%d max=%d\n",
    summary.requests, summary.duration, errors.status, errors.connect, errors.read, errors.write,
    errors.timeout, latency:percentile(50), latency:percentile(99), latency.max))
end
