-- How long leases last: one call, n tasks.
-- KEYS  per task: lock, state
-- reply: {now_us, {{ms}, ...}}: as PTTL tells it, negative where nothing ends
local t = redis.call('TIME')
local out = {}
for i = 1, #KEYS, 2 do
  out[#out + 1] = {redis.call('PTTL', KEYS[i])}
end
return {t[1] * 1000000 + t[2], out}
