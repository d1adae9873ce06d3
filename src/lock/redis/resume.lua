-- Forgets that runs of tasks failed: one call, n tasks.
-- KEYS  per task: lock, state
-- reply: {now_us, {{1 if there was a state}, ...}}
local t = redis.call('TIME')
local out = {}
for i = 1, #KEYS, 2 do
  local v = redis.call('MGET', KEYS[i + 1])
  local head, tail
  if v[1] then
    head, tail = string.match(v[1], '^(%d+|%d+|%d+|[RSFTCA]|%d+|%d+|%d+)|%d+|([^|]*|[^|]*|.*)$')
  end
  if head then
    redis.call('SET', KEYS[i + 1], head .. '|0|' .. tail, 'KEEPTTL')
  end
  out[#out + 1] = {head and 1 or 0}
end
return {t[1] * 1000000 + t[2], out}
