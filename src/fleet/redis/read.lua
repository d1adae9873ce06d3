-- Entries of a journal.
--
-- KEYS: the stream
-- ARGV: "forward" or "back", the end to begin at ("-", "+" or "(id"), how many at most
-- Answers {id, value, ...}.
local entries
if ARGV[1] == 'forward' then
  entries = redis.call('XRANGE', KEYS[1], ARGV[2], '+', 'COUNT', ARGV[3])
else
  entries = redis.call('XREVRANGE', KEYS[1], ARGV[2], '-', 'COUNT', ARGV[3])
end
local found, size = {}, 0
for _, entry in ipairs(entries) do
  found[#found + 1] = entry[1]
  found[#found + 1] = entry[2][2]
  size = size + #entry[2][2]
  if size > 1048576 then break end
end
return found
