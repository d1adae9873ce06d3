-- Extends leases: one call, n tasks.
-- KEYS  per task: lock, state
-- ARGV  per task: token, instant_ms, ttl_s, fence, keep_ms, attempt, owner, spec
-- reply: {now_us, {{code, known, owner}, ...}}: 0 extended, 1 reasserted, 2 lost (to owner, if known)
local t = redis.call('TIME')
local out = {}
for i = 1, #KEYS, 2 do
  local a = (i - 1) * 4
  local lk, sk, tok, ttl = KEYS[i], KEYS[i + 1], ARGV[a + 1], ARGV[a + 3]
  local v = redis.call('MGET', lk, sk)
  local cur, st, lt, lo = v[1]
  if v[2] then
    st, lt, lo = string.match(v[2], '^%d+|%d+|%d+|([RSFTCA])|%d+|%d+|%d+|%d+|[^|]*|([^|]*)|(.*)$')
  end
  local r
  if cur == tok then
    redis.call('EXPIRE', lk, ttl)
    r = {0, 0, ''}
  -- A state that says anything but "running, ours" is what stops a delayed renewal from bringing a
  -- released lock back to life.
  elseif not cur and ((lt == tok and st == 'R') or not v[2])
      and redis.call('SET', lk, tok, 'NX', 'EX', ttl) then
    r = {1, 0, ''}
  elseif lt and lt ~= tok then
    r = {2, 1, lo}
  else
    r = {2, 0, ''}
  end
  if r[1] < 2 and not v[2] then                   -- the store lost its data: bring the state back
    redis.call('SET', sk, table.concat({'0', ARGV[a + 2], ARGV[a + 4], 'R', ARGV[a + 6],
      string.format('%.0f', ttl * 1000), '0', '0', ARGV[a + 8], tok, ARGV[a + 7]}, '|'), 'PX', ARGV[a + 5])
  end
  out[#out + 1] = r
end
return {t[1] * 1000000 + t[2], out}
