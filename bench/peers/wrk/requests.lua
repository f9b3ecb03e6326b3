-- Requests as the first argument says, and the result as one line that a program reads.
--   table HOSTS ROUTES   every route of every host in turn
--   path PATH            one path
--   post PATH BYTES      with a body of so many bytes
--   connect PATH         each on a connection of its own
local requests = {}
local next_request = 0

function init(args)
  local what = args[1]
  if what == "table" then
    for route = 0, tonumber(args[3]) - 1 do
      for host = 0, tonumber(args[2]) - 1 do
        local headers = { ["Host"] = string.format("host-%d.example", host) }
        requests[#requests + 1] = wrk.format("GET", string.format("/route-%d/items/42", route), headers)
      end
    end
  elseif what == "post" then
    requests[1] = wrk.format("POST", args[2], {}, string.rep("x", tonumber(args[3])))
  elseif what == "connect" then
    requests[1] = wrk.format("GET", args[2], { ["Connection"] = "close" })
  else
    requests[1] = wrk.format("GET", args[2])
  end
end

function request()
  next_request = next_request % #requests + 1
  return requests[next_request]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    "result requests=%d microseconds=%d bytes=%d status=%d connect=%d read=%d write=%d timeout=%d p50=%d p99=%d max=%d\n",
    summary.requests, summary.duration, summary.bytes, errors.status, errors.connect, errors.read, errors.write,
    errors.timeout, latency:percentile(50), latency:percentile(99), latency.max))
end
