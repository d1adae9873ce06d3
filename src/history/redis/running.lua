-- Runs that have not ended, each with what it says of itself.
--
-- KEYS: the history (see write.lua)
-- ARGV: whose: "all", "of" or "silent"; for "of" the instance, for "silent" for how many ms; the most
-- Answers {record, status, ...}, oldest first of each instance.
local h, most = KEYS[1], tonumber(ARGV[3])
local instances = {ARGV[2]}
if ARGV[1] == 'all' then
  instances = redis.call('ZRANGE', h .. ':alive', 0, -1)
elseif ARGV[1] == 'silent' then
  local t = redis.call('TIME')
  local since = t[1] * 1000 + math.floor(t[2] / 1000) - tonumber(ARGV[2])
  instances = redis.call('ZRANGEBYSCORE', h .. ':alive', '-inf', string.format('(%.0f', since))
end
local found = {}
for _, instance in ipairs(instances) do
  local ids = redis.call('ZRANGE', h .. ':running:' .. instance, 0, most - #found / 2 - 1)
  for _, id in ipairs(ids) do
    found[#found + 1] = redis.call('HGET', h .. ':runs', id) or ''
    found[#found + 1] = redis.call('GET', h .. ':status:' .. id) or ''
  end
  if ARGV[1] == 'silent' and #ids == 0 then
    redis.call('ZREM', h .. ':alive', instance)
  end
  if #found / 2 >= most then break end
end
return found
