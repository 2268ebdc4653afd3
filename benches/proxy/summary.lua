-- Has wrk print what load.py reads, as one line of JSON.
function done(summary, latency, requests)
    local e = summary.errors
    io.write(string.format('{"requests": %d, "microseconds": %d, "errors": %d}\n',
        summary.requests, summary.duration, e.connect + e.read + e.write + e.status + e.timeout))
end
