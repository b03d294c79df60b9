-- Prepended to the scripts of live portfolios, and to those that publish what these are checked on.

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Whoever takes what is dirty sleeps on this list; one token in it is enough.
local function wake()
  if redis.call('LLEN', 'risk:live:wake') == 0 then redis.call('LPUSH', 'risk:live:wake', 1) end
end

-- Live portfolios are checked on the market and the limit set of this name: with another one their
-- reports are outdated.
local function outdate(name)
  if name ~= 'default' then return end
  redis.call('INCR', 'risk:live:epoch')
  wake()
end

-- What is dirty already keeps its place.
local function mark(id, at_ms)
  if redis.call('ZADD', 'risk:live:dirty', 'NX', at_ms, id) == 1 then wake() end
end

-- The version that the portfolio has from now on. One that is set again goes on where it ended, so
-- that a late report of its former life is known to be late.
local function next_version(id)
  local portfolio, gone = 'risk:live:portfolio:' .. id, 'risk:live:gone:' .. id
  local last = redis.call('HMGET', gone, 'version', 'turn')
  if last[1] then
    redis.call('HSET', portfolio, 'version', last[1], 'turn', last[2], 'recorded', last[2])
    redis.call('UNLINK', gone)
  end
  return redis.call('HINCRBY', portfolio, 'version', 1)
end

-- Prepended to the scripts that tell of changes of state.

-- One entry in the stream. `standing` is JSON, '' where nothing is known of it.
local function change_state(stream, kept, id, version, turn, limit, before, state, standing)
  redis.call('XADD', stream, 'MAXLEN', '~', kept, '*', 'event',
    table.concat({version, turn, #id, id, limit}, ':'), 'portfolio', id, 'version', version,
    'limit', limit, 'before', before, 'state', state, 'standing', standing)
  redis.call('HINCRBY', 'risk:counters', 'live_changes', 1)
end

-- script: set
-- Hold a portfolio as it is given; what was held under its id before is forgotten.
-- KEYS  1 portfolio  2 positions  3 event, where there is one
-- ARGV  1 id  2 seconds that an event is remembered  3 what is held besides positions, JSON
--       4.. instrument, quantity, ...
-- Returns the version; that of an event which was seen before.
local seen = KEYS[3] and redis.call('GET', KEYS[3])
if seen then return tonumber(seen) end
local version = next_version(ARGV[1])
redis.call('HSET', KEYS[1], 'attributes', ARGV[3])
redis.call('HDEL', KEYS[1], 'attempts')
redis.call('UNLINK', KEYS[2])
for place = 4, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[place], ARGV[place + 1]) end
-- Dirty, it is computed under the market of now; outdated it is not besides.
redis.call('ZADD', 'risk:live', 'NX', redis.call('GET', 'risk:live:epoch') or 0, ARGV[1])
if KEYS[3] then redis.call('SET', KEYS[3], version, 'EX', ARGV[2]) end
mark(ARGV[1], now_ms())
return version

-- script: change
-- Add to positions, in the order in which the calls come.
-- A quantity is kept as text of 17 digits, which is every bit of it; the server's own arithmetic
-- would round.
-- KEYS  1 portfolio  2 positions  3 event, where there is one
-- ARGV  1 id  2 seconds that an event is remembered  3.. instrument, delta, ...
-- Returns {'changed', version}, {'unknown'}, or {'overflow', instrument} with nothing changed.
if redis.call('EXISTS', KEYS[1]) == 0 then return {'unknown'} end
local seen = KEYS[3] and redis.call('GET', KEYS[3])
if seen then return {'changed', tonumber(seen)} end
local sums = {}
for place = 3, #ARGV, 2 do
  local held = redis.call('HGET', KEYS[2], ARGV[place])
  local sum = tonumber(held or 0) + tonumber(ARGV[place + 1])
  if sum ~= sum or math.abs(sum) == math.huge then return {'overflow', ARGV[place]} end
  sums[#sums + 1] = sum
end
for number, sum in ipairs(sums) do
  local instrument = ARGV[1 + 2 * number]
  if sum == 0 then
    redis.call('HDEL', KEYS[2], instrument)
  else
    redis.call('HSET', KEYS[2], instrument, string.format('%.17g', sum))
  end
end
local version = redis.call('HINCRBY', KEYS[1], 'version', 1)
redis.call('HDEL', KEYS[1], 'attempts')
if KEYS[3] then redis.call('SET', KEYS[3], version, 'EX', ARGV[2]) end
mark(ARGV[1], now_ms())
return {'changed', version}

-- script: remove
-- Forget a portfolio; its limits that are not ok become so, since nobody holds it any more.
-- KEYS  1 portfolio  2 positions  3 report  4 states  5 stream  6 event, where there is one
-- ARGV  1 id  2 entries that the stream keeps  3 seconds that its last version is remembered
-- Returns its last version, or nothing where there is none.
local seen = KEYS[6] and redis.call('GET', KEYS[6])
if seen then return tonumber(seen) end
local last = redis.call('HMGET', KEYS[1], 'version', 'turn')
if not last[1] then return false end
local states = redis.call('HGETALL', KEYS[4])
for place = 1, #states, 2 do
  change_state(KEYS[5], ARGV[2], ARGV[1], last[1], 'removed', states[place], states[place + 1],
    'ok', '')
end
local gone = 'risk:live:gone:' .. ARGV[1]
redis.call('HSET', gone, 'version', last[1], 'turn', last[2] or 0)
redis.call('EXPIRE', gone, ARGV[3])
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
for _, set in ipairs({'risk:live', 'risk:live:dirty', 'risk:live:underway'}) do
  redis.call('ZREM', set, ARGV[1])
end
if KEYS[6] then redis.call('SET', KEYS[6], last[1], 'EX', ARGV[3]) end
return tonumber(last[1])

-- script: take
-- Take what is due: dirty portfolios that are many enough or have waited long enough, or else some
-- whose report is of an earlier market or limit set.
-- ARGV  1 how many are enough, and the most that are taken  2 ms that one waits at most
--       3 how many may be underway at once  4 how many, where outdated ones are taken; 0 for none
-- Returns {what, ms until something may be due (-1: nothing is dirty, nor outdated),
--          {id, version, turn, attempts, attributes, {instrument, quantity, ...}}, ...}
--         where `what` is 'changed', 'outdated' or 'nothing'.
local most, now = tonumber(ARGV[1]), now_ms()
local underway = redis.call('ZCARD', 'risk:live:underway')
local room, refreshed = math.min(most, ARGV[3] - underway), math.min(most, ARGV[4] - underway)
local epoch = tonumber(redis.call('GET', 'risk:live:epoch') or 0)
local oldest = redis.call('ZRANGE', 'risk:live:dirty', 0, 0, 'WITHSCORES')[2]
local waits = oldest and math.max(0, oldest + ARGV[2] - now)
if waits and waits > 0 and redis.call('ZCARD', 'risk:live:dirty') >= most then waits = 0 end

local what, ids = 'nothing', {}
if room > 0 and waits == 0 then
  what, ids = 'changed', redis.call('ZRANGE', 'risk:live:dirty', 0, room - 1)
elseif refreshed > 0 then
  ids = redis.call('ZRANGE', 'risk:live', '-inf', '(' .. epoch, 'BYSCORE', 'LIMIT', 0, refreshed)
  if #ids > 0 then what = 'outdated' end
end
-- What waits for room, or for its turn among the outdated, is looked for again soon.
if waits == 0 and #ids == 0 then waits = 20 end
if not waits and redis.call('ZCOUNT', 'risk:live', '-inf', '(' .. epoch) > 0 then waits = 20 end

local taken = {what, waits or -1}
for _, id in ipairs(ids) do
  local portfolio = 'risk:live:portfolio:' .. id
  redis.call('ZREM', 'risk:live:dirty', id)
  redis.call('ZADD', 'risk:live:underway', now, id)
  redis.call('ZADD', 'risk:live', 'XX', epoch, id)
  local turn = redis.call('HINCRBY', portfolio, 'turn', 1)
  local held = redis.call('HMGET', portfolio, 'version', 'attempts', 'attributes')
  taken[#taken + 1] = {id, held[1], turn, held[2] or '0', held[3],
    redis.call('HGETALL', 'risk:live:positions:' .. id)}
end
return taken

-- script: begin
-- Note that somebody computes these turns.
-- ARGV  id, turn, ...
for place = 1, #ARGV, 2 do
  local portfolio = 'risk:live:portfolio:' .. ARGV[place]
  if redis.call('HGET', portfolio, 'turn') == ARGV[place + 1] then
    redis.call('HSET', portfolio, 'begun', ARGV[place + 1])
  end
end
return 1

-- script: record
-- Keep the report of one taken portfolio, and tell which limits changed their state.
-- What is not of the latest turn that was recorded comes too late and changes nothing: turns are
-- counted as portfolios are taken, so that a later turn has the same version or a later one.
-- KEYS  1 portfolio  2 report  3 states  4 stream
-- ARGV  1 id  2 version  3 turn  4 report  5 entries that the stream keeps
--       6 envelope that has the changes handed on  7.. limit, state, standing, ...
-- Returns how many limits changed, or -1 where it came too late.
local held = redis.call('HMGET', KEYS[1], 'version', 'turn', 'recorded')
if not held[1] or tonumber(ARGV[2]) > tonumber(held[1])
  or tonumber(ARGV[3]) <= tonumber(held[3] or 0) then
  redis.call('HINCRBY', 'risk:counters', 'live_late', 1)
  return -1
end
redis.call('HINCRBY', 'risk:counters', 'live_recorded', 1)
redis.call('HSET', KEYS[1], 'recorded', ARGV[3], 'reported', ARGV[2], 'reported_ms', now_ms())
redis.call('HDEL', KEYS[1], 'attempts')
redis.call('SET', KEYS[2], ARGV[4])
if ARGV[3] == held[2] then redis.call('ZREM', 'risk:live:underway', ARGV[1]) end

local before, changed = {}, 0
local states = redis.call('HGETALL', KEYS[3])
for place = 1, #states, 2 do before[states[place]] = states[place + 1] end
local function stands(limit, state, standing)
  local was = before[limit] or 'ok'
  before[limit] = nil
  if was == state then return end
  if state == 'ok' then redis.call('HDEL', KEYS[3], limit)
  else redis.call('HSET', KEYS[3], limit, state) end
  change_state(KEYS[4], ARGV[5], ARGV[1], ARGV[2], ARGV[3], limit, was, state, standing)
  changed = changed + 1
end
for place = 7, #ARGV, 3 do stands(ARGV[place], ARGV[place + 1], ARGV[place + 2]) end
-- What is left was told of once, and is held against it no longer.
for place = 1, #states, 2 do
  if before[states[place]] then stands(states[place], 'ok', '') end
end
if changed > 0 and redis.call('HLEN', 'risk:live:listeners') > 0
  and redis.call('SET', 'risk:live:handing', 1, 'NX', 'EX', 5) then
  redis.call('LPUSH', 'risk.critical', ARGV[6])
end
return changed

-- script: retrigger
-- Make dirty again what was taken and has been underway for too long; what was tried often enough
-- is returned instead, as `take` returns it, for whoever gives it up. An attempt is a turn that
-- somebody began to compute: what only waited for a worker is none.
-- ARGV  1 ms  2 attempts  3 how many at once
-- Returns {how many are dirty again, {id, version, turn, attempts, attributes, {}}, ...}.
local now = now_ms()
local ids = redis.call('ZRANGE', 'risk:live:underway', '-inf', now - ARGV[1], 'BYSCORE',
  'LIMIT', 0, ARGV[3])
local given_up, again = {}, 0
for _, id in ipairs(ids) do
  local portfolio = 'risk:live:portfolio:' .. id
  local known = redis.call('HMGET', portfolio, 'attempts', 'turn', 'begun')
  local attempts = tonumber(known[1] or 0)
  if known[2] == known[3] then attempts = redis.call('HINCRBY', portfolio, 'attempts', 1) end
  if attempts < tonumber(ARGV[2]) then
    redis.call('ZREM', 'risk:live:underway', id)
    mark(id, now)
    again = again + 1
  else
    redis.call('ZADD', 'risk:live:underway', now, id)
    local held = redis.call('HMGET', portfolio, 'version', 'attributes')
    local turn = redis.call('HINCRBY', portfolio, 'turn', 1)
    given_up[#given_up + 1] = {id, held[1], turn, tostring(attempts), held[2], {}}
  end
end
return {again, unpack(given_up)}

-- script: hand_on
-- Put messages for a listener on its queue, unless somebody did so since its place was read.
-- KEYS  1 listeners  2 queue
-- ARGV  1 queue's name  2 place that was read  3 place after these  4.. messages
-- Returns whether they were put.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
for place = 4, #ARGV do redis.call('LPUSH', KEYS[2], ARGV[place]) end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
