-- Takes leases from their owners: one call, n tasks.
-- KEYS  per task: lock, state
-- ARGV  per task: fence
-- reply: {now_us, {{code, fence}, ...}}: 0 freed, 1 not locked, 2 another's (with that fencing token; 0
-- if it is not known)
local t = redis.call('TIME')
local now = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
local out = {}
for i = 1, #KEYS, 2 do
  local v = redis.call('MGET', KEYS[i], KEYS[i + 1])
  local r = {1, 0}
  if v[1] or redis.call('EXISTS', KEYS[i]) == 1 then
    local head, f, st, mid, tail, lt
    if v[2] then
      head, f, st, mid, tail, lt = string.match(v[2],
        '^(%d+|%d+)|(%d+)|([RSFTCA])|(%d+|%d+)|%d+|(%d+|[^|]*|([^|]*)|.*)$')
    end
    if lt and lt == v[1] and f == ARGV[(i + 1) / 2] and st == 'R' then
      redis.call('DEL', KEYS[i])
      redis.call('SET', KEYS[i + 1], table.concat({head, f, 'C', mid, now, tail}, '|'), 'KEEPTTL')
      r = {0, 0}
    elseif lt and lt == v[1] then
      r = {2, tonumber(f)}
    else
      r = {2, 0}
    end
  end
  out[#out + 1] = r
end
return {t[1] * 1000000 + t[2], out}
