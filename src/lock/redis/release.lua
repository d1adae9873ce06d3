-- Ends leases: one call, n tasks.
-- KEYS  per task: lock, state
-- ARGV  per task: token, instant_ms, ttl_s, fence, keep_ms, attempt, owner, spec, status,
--       1 if off schedule
-- reply: {now_us, {{code, known, owner}, ...}}: 0 freed, 1 was gone, 2 taken by another (by owner, if
-- known)
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local out = {}
for i = 1, #KEYS, 2 do
  local a = (i - 1) / 2 * 10
  local lk, sk, tok, ttl, status = KEYS[i], KEYS[i + 1], ARGV[a + 1], ARGV[a + 3], ARGV[a + 9]
  local off = ARGV[a + 10] == '1'
  local v = redis.call('MGET', lk, sk)
  local head, st, mid, en, fl, sp, lt, lo
  if v[2] then
    head, st, mid, en, fl, sp, lt, lo = string.match(v[2],
      '^(%d+|%d+|%d+)|([RSFTCA])|(%d+|%d+)|(%d+)|(%d+)|([^|]*)|([^|]*)|(.*)$')
  end
  -- A run that never started leaves the end of the one before it.
  local ended = status == 'A' and (en or '0') or string.format('%.0f', now)
  -- Failures in a row: a run that was cancelled or never started says nothing of them.
  local fails = fl or '0'
  if status == 'S' then fails = '0' end
  if status == 'F' or status == 'T' then fails = string.format('%.0f', fails + 1) end
  local r
  if v[1] == tok then
    redis.call('DEL', lk)
    r = {0, 0, ''}
  elseif off and not v[1] then
    r = {1, 0, ''}
  elseif off then
    r = v[1] == lt and {2, 1, lo} or {2, 0, ''}
  elseif lt == tok or (not v[1] and not v[2]) then
    r = {1, 0, ''}
  elseif lt then
    r = {2, 1, lo}
  else
    r = {2, 0, ''}
  end
  if off then                                     -- the record of instants stays as it is
  elseif lt == tok and st == 'R' then
    redis.call('SET', sk, table.concat({head, status, mid, ended, fails, sp, lt, lo}, '|'), 'PX', ARGV[a + 5])
  elseif not v[2] then                            -- the store lost its data: the instant stays taken
    redis.call('SET', sk, table.concat({'0', ARGV[a + 2], ARGV[a + 4], status, ARGV[a + 6],
      string.format('%.0f', ttl * 1000), ended, fails, ARGV[a + 8], tok, ARGV[a + 7]}, '|'), 'PX', ARGV[a + 5])
  end
  out[#out + 1] = r
end
return {t[1] * 1000000 + t[2], out}
