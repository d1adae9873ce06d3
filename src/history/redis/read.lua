-- One thing of a history.
--
-- KEYS: the history (see write.lua)
-- ARGV: what: "run" and its id, "decisions" and the task, "log", the id and a line's number,
--       "counters" and the tasks
-- Answers a list of texts; what is not there is empty.
local h = KEYS[1]
if ARGV[1] == 'run' then
  return {redis.call('HGET', h .. ':runs', ARGV[2]) or '',
    redis.call('GET', h .. ':status:' .. ARGV[2]) or ''}
elseif ARGV[1] == 'decisions' then
  return redis.call('HVALS', h .. ':decided:' .. ARGV[2])
elseif ARGV[1] == 'log' then
  return redis.call('ZRANGEBYSCORE', h .. ':log:' .. ARGV[2], '(' .. ARGV[3], '+inf')
end
local found = {}
local counters = redis.call('HMGET', h .. ':counters', unpack(ARGV, 2))
local excused = redis.call('HMGET', h .. ':excused', unpack(ARGV, 2))
for i = 1, #ARGV - 1 do
  local text = counters[i] or ''
  if string.match(excused[i] or '', '^%d+$') then
    if text == '' then text = '0|0|0|0|0||0||0' end
    text = text .. '|' .. excused[i]
  end
  found[i] = text
end
return found
