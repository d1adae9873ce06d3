-- Writes or removes one record of a shelf, if it is as expected.
--
-- KEYS: the records (hash: key -> version|expires_ms|writer|value; "" -> last version|forgotten),
--       their order (sorted set: key by version; a removed one stays for those who follow)
-- ARGV: key, writer, what is expected ("any", "absent", or a version), TTL in ms (0: none),
--       "put" or "remove", value, the channel to wake ("" : nobody), tombstones to keep
-- Answers {1, version}, or {0} or {0, version, expires_ms, value} of what is there instead.
-- A repeated call, by the same writer, is answered as the first was.
local records, order = KEYS[1], KEYS[2]
local key, writer, expected, ttl = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local is_put, value, channel, tombstones = ARGV[5] == 'put', ARGV[6], ARGV[7], tonumber(ARGV[8])
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)

local function read(k)
  local text = redis.call('HGET', records, k)
  if not text then return nil end
  local v, e, w, x = string.match(text, '^(%d+)|(%d+)|([^|]*)|(.*)$')
  if not v then return nil end
  return {version = v, expires = tonumber(e), expires_text = e, writer = w, value = x}
end

local found = read(key)
if found and found.writer == writer then
  return {1, tonumber(found.version)}
end
if found and found.expires > 0 and found.expires <= now then
  found = nil
end
local is_expected = expected == 'any' or (expected == 'absent' and not found)
  or (found and found.version == expected)
if not is_expected then
  if not found then return {0} end
  return {0, tonumber(found.version), tonumber(found.expires_text), found.value}
end

local last, forgotten = string.match(redis.call('HGET', records, '') or '', '^(%d+)|(%d+)$')
last, forgotten = tonumber(last or 0), tonumber(forgotten or 0)
if last == 0 then
  -- A new shelf. One that was there before, and is lost, has other versions: whoever has read that one
  -- reads this one whole, and what was expected of a record of that one is true of none of this one.
  last = t[1] * 1000000 + t[2]
  forgotten = last
end
if not is_put and not found then
  return {1, last}
end
last = last + 1
local expires = 0
if ttl > 0 then expires = now + ttl end
if is_put then
  -- Joined, since a format ends a text at its first zero byte.
  redis.call('HSET', records, key, string.format('%.0f|%.0f|', last, expires) .. writer .. '|' .. value)
else
  redis.call('HDEL', records, key)
end
redis.call('ZADD', order, last, key)

-- The oldest few go if they are over, or were removed long ago.
local oldest = redis.call('ZRANGE', order, 0, 4, 'WITHSCORES')
for i = 1, #oldest, 2 do
  local old = read(oldest[i])
  if old and old.expires > 0 and old.expires <= now then
    redis.call('HDEL', records, oldest[i])
    redis.call('ZREM', order, oldest[i])
  elseif not old and tonumber(oldest[i + 1]) < last - tombstones then
    redis.call('HDEL', records, oldest[i])
    redis.call('ZREM', order, oldest[i])
    forgotten = math.max(forgotten, tonumber(oldest[i + 1]))
  end
end
redis.call('HSET', records, '', string.format('%.0f|%.0f', last, forgotten))
if channel ~= '' then
  -- Those who may not publish write all the same: others find it when they reread.
  redis.pcall('PUBLISH', channel, key)
end
return {1, last}
