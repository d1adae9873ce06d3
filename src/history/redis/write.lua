-- Writes records of runs, decisions, lines and the like.
--
-- KEYS: the history, whose name all its keys begin with; all are of one slot
-- ARGV: most runs of a task, their longest age in ms, most logs of a task, most places of decisions;
--       then for each write its kind and what belongs to it:
--   run id task instance letter started_us ended_us outcome took_us json
--       letter: R runs, F has ended, A was abandoned
--   end (as run): only if it runs
--   dec task place most json
--   sta id ttl_ms json
--   log id task keep_from count {number json}...
--   saw task us
--   exc task us
--   alv instance
-- Answers how many writes of the kind "end" were done.
--
-- The keys behind the history's name:
--   :runs           hash, id to letter|instance|json
--   :all            sorted set of id:task, in the order of their ids
--   :task:<task>    sorted set of ids
--   :running:<instance>  sorted set of ids
--   :alive          sorted set of instances by when they were heard of
--   :counters       hash, task to known|start|success|failure|failures|id|ended|outcome|took
--   :excused        hash, task to the microsecond before which nothing is expected of it
--   :decided:<task> hash, place to lines of json
--   :logged:<task>  sorted set of ids;  :log:<id>  sorted set of lines by their numbers
--   :status:<id>    json, which ends by itself
local h = KEYS[1]
local most_runs, age, most_logs, most_places =
  tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
-- Counters of a service that is gone: 400 days.
local for_good = '34560000000'
local keep = string.format('%.0f', age + 86400000)
local call = redis.call

local function num(s) return tonumber(s) or 0 end
local function str(n) return string.format('%.0f', n) end

-- The first ten characters of the ids of that millisecond.
local letters = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
local function first_at(ms)
  local s = ''
  for _ = 1, 10 do
    local d = ms % 32
    s = string.sub(letters, d + 1, d + 1) .. s
    ms = (ms - d) / 32
  end
  return s
end

local function forget(id, task)
  local v = call('HGET', h .. ':runs', id)
  local letter, instance = string.match(v or '', '^(%a)|([^|]*)|')
  if letter == 'R' then call('ZREM', h .. ':running:' .. instance, id) end
  call('HDEL', h .. ':runs', id)
  call('ZREM', h .. ':all', id .. ':' .. task)
  call('ZREM', h .. ':task:' .. task, id)
  call('ZREM', h .. ':logged:' .. task, id)
  call('DEL', h .. ':log:' .. id, h .. ':status:' .. id)
end

local function counters(task)
  local text = call('HGET', h .. ':counters', task) or ''
  local c = {}
  c.known, c.start, c.ok, c.bad, c.row, c.id, c.ended, c.outcome, c.took =
    string.match(text, '^(%d+)|(%d+)|(%d+)|(%d+)|(%d+)|(%w*)|(%d+)|([%a_]*)|(%d+)$')
  for _, f in ipairs({'known', 'start', 'ok', 'bad', 'row', 'ended', 'took'}) do c[f] = num(c[f]) end
  c.id, c.outcome = c.id or '', c.outcome or ''
  return c
end

local function count(task, c)
  call('HSET', h .. ':counters', task, table.concat({str(c.known), str(c.start), str(c.ok),
    str(c.bad), str(c.row), c.id, str(c.ended), c.outcome, str(c.took)}, '|'))
end

local function run(i, only_running)
  local id, task, instance, letter, started, ended, outcome, took, json =
    ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], num(ARGV[i + 4]), num(ARGV[i + 5]),
    ARGV[i + 6], num(ARGV[i + 7]), ARGV[i + 8]
  local old = call('HGET', h .. ':runs', id)
  local before, where = string.match(old or '', '^(%a)|([^|]*)|')
  if only_running and before ~= 'R' then return false end
  if before == 'F' or (before == 'A' and letter ~= 'F') then return false end
  local c = counters(task)
  if not before then
    if c.known == 0 then c.known = started end
    c.start = math.max(c.start, started)
    call('ZADD', h .. ':all', 0, id .. ':' .. task)
    call('ZADD', h .. ':task:' .. task, 0, id)
    call('PEXPIRE', h .. ':task:' .. task, keep)
  end
  if before == 'R' and (letter ~= 'R' or where ~= instance) then
    call('ZREM', h .. ':running:' .. where, id)
  end
  if letter == 'R' then
    call('ZADD', h .. ':running:' .. instance, 0, id)
    call('PEXPIRE', h .. ':running:' .. instance, keep)
    call('ZADD', h .. ':alive', 'NX', now, instance)
  else
    if outcome == 'success' then
      if c.bad <= ended then c.row = 0 end
      c.ok = math.max(c.ok, ended)
    elseif outcome ~= 'cancelled' then
      if c.ok < ended then c.row = c.row + 1 end
      c.bad = math.max(c.bad, ended)
    end
    if c.ended <= ended then c.id, c.ended, c.outcome, c.took = id, ended, outcome, took end
    if before then call('DEL', h .. ':status:' .. id) end
  end
  count(task, c)
  call('HSET', h .. ':runs', id, letter .. '|' .. instance .. '|' .. json)
  local surplus = call('ZCARD', h .. ':task:' .. task) - most_runs
  if surplus > 0 then
    for _, old_id in ipairs(call('ZRANGE', h .. ':task:' .. task, 0, surplus - 1)) do
      forget(old_id, task)
    end
  end
  return true
end

local function decided(i)
  local task, place, most, json = ARGV[i], ARGV[i + 1], num(ARGV[i + 2]), ARGV[i + 3]
  local key = h .. ':decided:' .. task
  local lines = call('HGET', key, place) or ''
  if string.find(lines, json, 1, true) then return end
  local _, n = string.gsub(lines, '\n', '')
  if n >= most then return end
  call('HSET', key, place, lines .. json .. '\n')
  call('PEXPIRE', key, keep)
  local surplus = call('HLEN', key) - most_places
  if surplus > 0 then
    local places = call('HKEYS', key)
    table.sort(places, function(a, b) return num(a) < num(b) end)
    for j = 1, surplus do call('HDEL', key, places[j]) end
  end
end

local function log(i)
  local id, task, from, n = ARGV[i], ARGV[i + 1], ARGV[i + 2], num(ARGV[i + 3])
  local logged, key = h .. ':logged:' .. task, h .. ':log:' .. id
  if most_logs > 0 and call('ZADD', logged, 0, id) == 1 then
    call('PEXPIRE', logged, keep)
    local surplus = call('ZCARD', logged) - most_logs
    if surplus > 0 then
      for _, old_id in ipairs(call('ZRANGE', logged, 0, surplus - 1)) do
        call('ZREM', logged, old_id)
        call('DEL', h .. ':log:' .. old_id)
      end
    end
  end
  if call('ZSCORE', logged, id) then
    for j = i + 4, i + 2 + n * 2, 2 do
      call('ZREMRANGEBYSCORE', key, ARGV[j], ARGV[j])
      call('ZADD', key, ARGV[j], ARGV[j + 1])
    end
    call('ZREMRANGEBYSCORE', key, '-inf', '(' .. from)
    call('PEXPIRE', key, keep)
  end
  return n * 2
end

local i, done, runs = 5, 0, 0
while i <= #ARGV do
  local kind = ARGV[i]
  i = i + 1
  if kind == 'run' then
    run(i, false)
    i, runs = i + 9, runs + 1
  elseif kind == 'end' then
    if run(i, true) then done = done + 1 end
    i = i + 9
  elseif kind == 'dec' then
    decided(i)
    i = i + 4
  elseif kind == 'sta' then
    local v = call('HGET', h .. ':runs', ARGV[i])
    if v and string.sub(v, 1, 1) == 'R' then
      call('SET', h .. ':status:' .. ARGV[i], ARGV[i + 2], 'PX', ARGV[i + 1])
    end
    i = i + 3
  elseif kind == 'log' then
    i = i + 4 + log(i)
  elseif kind == 'saw' then
    local c = counters(ARGV[i])
    if c.known == 0 then
      c.known = num(ARGV[i + 1])
      count(ARGV[i], c)
    end
    i = i + 2
  elseif kind == 'exc' then
    local before = num(call('HGET', h .. ':excused', ARGV[i]))
    if before < num(ARGV[i + 1]) then call('HSET', h .. ':excused', ARGV[i], ARGV[i + 1]) end
    i = i + 2
  elseif kind == 'alv' then
    call('ZADD', h .. ':alive', now, ARGV[i])
    i = i + 1
  else
    return redis.error_reply('ERR a write of unknown kind')
  end
end
call('PEXPIRE', h .. ':runs', keep)
call('PEXPIRE', h .. ':all', keep)
call('PEXPIRE', h .. ':counters', for_good)
call('PEXPIRE', h .. ':excused', for_good)
-- A few more than were added, so that they become fewer.
local too_old = call('ZRANGEBYLEX', h .. ':all', '-', '(' .. first_at(now - age), 'LIMIT', 0,
  runs * 2 + 4)
for _, member in ipairs(too_old) do
  local id, task = string.match(member, '^(%w+):(.*)$')
  if id then forget(id, task) else call('ZREM', h .. ':all', member) end
end
return done
