-- Extends leases: one call, n tasks.
-- KEYS  per task: lock, state
-- ARGV  per task: token, instant_ms, ttl_s, fence, keep_ms, attempt, owner, spec, 1 if it has several lanes,
--       1 if off schedule
-- reply: {now_us, {{code, known, owner}, ...}}: 0 extended, 1 reasserted, 2 lost (to owner, if known)
local t = redis.call('TIME')
local out = {}
for i = 1, #KEYS, 2 do
  local a = (i - 1) / 2 * 10
  local lk, sk, tok, ttl = KEYS[i], KEYS[i + 1], ARGV[a + 1], ARGV[a + 3]
  local v = redis.call('MGET', lk, sk)
  local cur, pi, li, f, st, en, fl, lt, lo = v[1]
  if v[2] then
    pi, li, f, st, en, fl, lt, lo = string.match(v[2],
      '^(%d+)|(%d+)|(%d+)|([RSFTCA])|%d+|%d+|(%d+)|(%d+)|[^|]*|([^|]*)|(.*)$')
  end
  local off = ARGV[a + 10] == '1'
  local other = lt and lt ~= tok and ARGV[a + 9] == '1' and not off
  local r
  if cur == tok then
    redis.call('EXPIRE', lk, ttl)
    r = {0, 0, ''}
  -- A state that says anything but "running, ours" is what stops a delayed renewal from bringing a
  -- released lock back to life. Of several lanes a free one can be taken back, whoever was granted
  -- another one since: no more go on than there are lanes.
  elseif not cur and ((lt == tok and st == 'R') or not v[2] or other)
      and redis.call('SET', lk, tok, 'NX', 'EX', ttl) then
    r = {1, 0, ''}
  elseif lt and lt ~= tok then
    r = {2, 1, lo}
  else
    r = {2, 0, ''}
  end
  local last, fence = '0', ARGV[a + 4]
  if other then
    last = st == 'A' and pi or li
    fence = string.format('%.0f', math.max(tonumber(f), tonumber(fence)))
  end
  -- The store lost its data: bring the state back, also over that of a run of an earlier instant.
  if off then                                     -- no instant is brought back, only the fencing token
    if r[1] < 2 and not v[2] then
      redis.call('SET', sk, table.concat({'0', '0', string.format('%.0f', fence + 1), 'S', '0',
        string.format('%.0f', ttl * 1000), '0', '0', ARGV[a + 8], tok, ARGV[a + 7]}, '|'), 'PX', ARGV[a + 5])
    end
  elseif r[1] < 2 and not v[2] or r[1] == 1 and other and tonumber(last) < tonumber(ARGV[a + 2]) then
    redis.call('SET', sk, table.concat({last, ARGV[a + 2], fence, 'R', ARGV[a + 6],
      string.format('%.0f', ttl * 1000), other and en or '0', other and fl or '0', ARGV[a + 8], tok,
      ARGV[a + 7]}, '|'), 'PX', ARGV[a + 5])
  end
  out[#out + 1] = r
end
return {t[1] * 1000000 + t[2], out}
