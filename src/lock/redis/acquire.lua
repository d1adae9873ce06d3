-- Claims firings: one call, n tasks, handled one after the other.
-- KEYS  per task: lock, state
-- ARGV  per task: token, instant_ms, ttl_s, early_ms, late_ms, keep_ms, max_attempts, owner, delay_ms
--       (-1 for none), pause_after (0 for never), spec, 1 if it has several lanes, 1 if off schedule
-- reply: {now_us, {{code, n1, n2, attempt, status, owner, spec, instant}, ...}}: the last two as they were
-- in the state before; codes in docs/lock-protocol.md
-- state: prev|inst|fence|status|attempt|ttl_ms|ended|fails|spec|token|owner
local t = redis.call('TIME')
local us = t[1] * 1000000 + t[2]
local now = math.floor(us / 1000)
local out = {}
local function digits(n)                          -- Lua would write 1.79e+15 for a number of that size
  return string.format('%.0f', n)
end
for i = 1, #KEYS, 2 do
  local a = (i - 1) / 2 * 13
  local lk, sk, tok, inst, ttl = KEYS[i], KEYS[i + 1], ARGV[a + 1], tonumber(ARGV[a + 2]), ARGV[a + 3]
  local early, late, keep = tonumber(ARGV[a + 4]), tonumber(ARGV[a + 5]), ARGV[a + 6]
  local max, me, delay = tonumber(ARGV[a + 7]), ARGV[a + 8], tonumber(ARGV[a + 9])
  local pause, spec, lanes = tonumber(ARGV[a + 10]), ARGV[a + 11], ARGV[a + 12] == '1'
  local v = redis.call('MGET', lk, sk)            -- MGET never raises WRONGTYPE
  local cur, pi, li, f, st, at, lms, en, fl, sp, lt, lo = v[1]
  if v[2] then
    pi, li, f, st, at, lms, en, fl, sp, lt, lo = string.match(v[2],
      '^(%d+)|(%d+)|(%d+)|([RSFTCA])|(%d+)|(%d+)|(%d+)|(%d+)|([^|]*)|([^|]*)|(.*)$')
  end
  local att, ended, r = tonumber(at) or 0, tonumber(en) or 0, nil
  local last = li and tonumber(st == 'A' and pi or li)
  local function left()
    -- Heals a backward step of the server's clock: a lease never lasts longer than its TTL. Only
    -- leases of this protocol: a lock that another client took for itself lasts as long as it said.
    local p = redis.call('PTTL', lk)
    if cur and cur == lt and p > tonumber(lms) then
      redis.call('PEXPIRE', lk, lms)
      p = tonumber(lms)
    end
    return p
  end
  local function end_now(status)
    st, ended = status, now
    redis.call('SET', sk, table.concat({pi, li, f, st, at, lms, digits(now), fl, sp, lt, lo}, '|'),
      'PX', keep)
  end
  -- Whether the last run died in a way that lets this claim run it again.
  local rerun = (st == 'R' or st == 'C') and att < max
  local take = false
  if ARGV[a + 13] == '1' then                     -- beside the schedule: the lease, and no instant
    local ours = cur == tok
    if cur and not ours then
      if cur == lt then r = {4, 0, left(), att, st, lo} else r = {4, 0, left(), 0, '', ''} end
    elseif not ours and pause > 0 and (tonumber(fl) or 0) >= pause then
      r = {10, tonumber(fl), 0, att, st, lo}
    elseif not ours and not redis.call('SET', lk, tok, 'NX', 'EX', ttl) then
      r = {4, 0, redis.call('PTTL', lk), 0, '', ''}
    else
      local nf = math.max(1 + (tonumber(f) or 0), us)
      if st then
        local s, e = st, ended
        if st == 'R' and not lanes and not ours then
          s, e = 'C', now                         -- its lease is over, and must not come back
        end
        redis.call('SET', sk, table.concat({pi, li, digits(nf + 1), s, at, lms, digits(e), fl, sp,
          lt, lo}, '|'), 'KEEPTTL')
      else
        redis.call('SET', sk, table.concat({'0', '0', digits(nf + 1), 'S', '0', digits(ttl * 1000),
          '0', '0', spec, tok, me}, '|'), 'PX', keep)
      end
      r = {ours and 1 or 0, nf, ours and left() or ttl * 1000, 1, 'R', me}
    end
  elseif lt == tok and tonumber(li) == inst then      -- a repeat of a claim that had been granted
    if cur == tok then
      redis.call('SET', lk, tok, 'XX', 'KEEPTTL')   -- a write, so that WAIT has something to wait for
      r = {1, tonumber(f), left(), att, st, me}
    elseif st == 'R' and not cur and redis.call('SET', lk, tok, 'NX', 'EX', ttl) then
      r = {1, tonumber(f), ttl * 1000, att, st, me} -- nobody acquired since: the fence is newest
    else
      r = {6, 0, 0, att, st, lo}
    end
  elseif lanes and last and inst < last and cur == tok and lt ~= tok then
    -- The same, and another lane was granted since: the lane is still ours. Our token is not known any
    -- more; both that follow are new, so that the other may be repeated too.
    local nf = math.max(tonumber(f) + 2, us)
    redis.call('SET', sk, table.concat({pi, li, digits(nf), st, at, lms, en, fl, sp, lt, lo}, '|'), 'PX', keep)
    r = {1, nf - 1, left(), 1, 'R', me}
  elseif last and inst < last and delay < 0 then
    left()
    r = {3, last, 0, att, st, lo}
  elseif last and inst == last then
    take = not cur and rerun
    if not take then
      left()
      r = {2, last, 0, att, st, lo}
    end
  end
  if not r then
    if cur then                                   -- the status is empty if we do not know whose it is
      if cur == lt then r = {4, 0, left(), att, st, lo} else r = {4, 0, left(), 0, '', ''} end
    elseif rerun and not take and now - last <= late then
      r = {8, last, 0, att, st, lo}               -- instants are finished in order
    end
  end
  if not r and delay >= 0 and st and not take then -- so long after the end of the last run
    if st == 'R' then
      end_now('C')                                -- its owner died, and nobody knows when
    elseif ended > now then
      end_now(st)                                 -- the server's clock has gone back
    end
    local due = ended + delay
    if ended > 0 and (inst < due or now < due) then
      r = {9, due, math.max(due - now, 0), att, st, lo}
    elseif inst < last then
      r = {3, last, 0, att, st, lo}
    end
  end
  if not r and pause > 0 and (tonumber(fl) or 0) >= pause and not take then
    r = {10, tonumber(fl), 0, att, st, lo}        -- too many failures in a row
  end
  if not r then
    if inst - now > early then
      r = {5, inst - now, 0, 0, '', ''}
    elseif now - inst > late then
      r = {7, now - inst, 0, 0, '', ''}
    elseif not redis.call('SET', lk, tok, 'NX', 'EX', ttl) then
      r = {4, 0, redis.call('PTTL', lk), 0, '', ''} -- a value of another type than MGET reads
    else
      local nf = math.max((tonumber(f) or 0) + 1, us)
      local prev = (take or st == 'A') and pi or li or '0'
      att = (take and att or 0) + 1
      redis.call('SET', sk, table.concat({prev, ARGV[a + 2], digits(nf), 'R', att,
        digits(ttl * 1000), digits(ended), fl or '0', spec, tok, me}, '|'), 'PX', keep)
      r = {0, nf, ttl * 1000, att, 'R', me}
    end
  end
  r[7], r[8] = sp or '', tonumber(li) or 0
  out[#out + 1] = r
end
return {us, out}
