-- The records of shelves that were written after a version: of each at most so many, in that order.
--
-- KEYS: of each shelf the records, their order (see write.lua)
-- ARGV: of each the version, the most to answer, "1" if the whole shelf is being read and this goes on
-- Answers of each {last version, is_whole, is_all, up to version,
--                  {key, version, expires_ms, value, ...}, {removed key, ...}}.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)

local function list(records, order, since, most, goes_on)
  local is_whole = goes_on
  local last, forgotten = string.match(redis.call('HGET', records, '') or '0|0', '^(%d+)|(%d+)$')
  last, forgotten = tonumber(last or 0), tonumber(forgotten or 0)
  -- What was removed up to there is not known any more, or the shelf is another one than before.
  if not is_whole and (since == 0 or since < forgotten or since > last) then
    since, is_whole = 0, true
  end
  local keys = redis.call('ZRANGEBYSCORE', order, '(' .. string.format('%.0f', since), '+inf',
    'WITHSCORES', 'LIMIT', 0, most)
  local found, removed, upto, size = {}, {}, since, 0
  local is_all = #keys < most * 2
  for i = 1, #keys, 2 do
    local text = redis.call('HGET', records, keys[i])
    local v, e, w, x
    if text then v, e, w, x = string.match(text, '^(%d+)|(%d+)|([^|]*)|(.*)$') end
    if v then
      local expires = tonumber(e)
      if expires == 0 or expires > now then
        found[#found + 1] = keys[i]
        found[#found + 1] = tonumber(v)
        found[#found + 1] = expires
        found[#found + 1] = x
        size = size + #x
      elseif is_whole and expires < now - 60000 then
        redis.call('HDEL', records, keys[i])
        redis.call('ZREM', order, keys[i])
      end
    elseif goes_on or not is_whole then
      removed[#removed + 1] = keys[i]
    end
    upto = tonumber(keys[i + 1])
    -- So that no answer is much longer than a long record.
    if size > 1048576 and i + 1 < #keys then
      is_all = false
      break
    end
  end
  if is_all then upto = last end
  return {last, is_whole and 1 or 0, is_all and 1 or 0, upto, found, removed}
end

local answers = {}
for i = 1, #KEYS / 2 do
  answers[i] = list(KEYS[2 * i - 1], KEYS[2 * i], tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]),
    ARGV[3 * i] == '1')
end
return answers
