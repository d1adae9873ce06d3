-- Runs, newest first.
--
-- KEYS: the history (see write.lua)
-- ARGV: the index, ":all" or ":task:<task>"; the bounds of ids, from the newest to the oldest; the most
-- Answers {id, record, ...}.
local h = KEYS[1]
local found = {}
for _, member in ipairs(redis.call('ZREVRANGEBYLEX', h .. ARGV[1], ARGV[2], ARGV[3], 'LIMIT', 0,
  ARGV[4])) do
  local id = string.sub(member, 1, 26)
  found[#found + 1] = id
  found[#found + 1] = redis.call('HGET', h .. ':runs', id) or ''
end
return found
