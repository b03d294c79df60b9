-- Functions of all scripts about live portfolios. The scripts that publish markets and limit sets
-- include them too.

local PORTFOLIO, POSITIONS = 'risk:live:portfolio:', 'risk:live:positions:'
local REPORT, STATES = 'risk:live:report:', 'risk:live:states:'

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- The collector blocks on this list until something is due. One token is enough.
local function wake()
  if redis.call('LLEN', 'risk:live:wake') == 0 then redis.call('LPUSH', 'risk:live:wake', 1) end
end

-- Live portfolios are checked on the market and the limit set named 'default'. A new one makes all
-- reports outdated.
local function outdate(name)
  if name ~= 'default' then return end
  redis.call('INCR', 'risk:live:epoch')
  wake()
end

-- Add a portfolio to a set that the collector reads. One that is in the set keeps its score.
local function mark(set, id, at_ms)
  if redis.call('ZADD', set, 'NX', at_ms, id) == 1 then wake() end
end

-- The length of the id separates it from the event id: both may hold colons.
local function event_key(id, event)
  return 'risk:live:event:' .. #id .. ':' .. id .. ':' .. event
end

-- Return the version that an event made; nil for a new event, and for '', a change without an id.
local function version_of_event(id, event)
  if event == '' then return nil end
  return tonumber(redis.call('GET', event_key(id, event)))
end

local function keep_event(id, event, version, ttl_s)
  if event ~= '' then redis.call('SET', event_key(id, event), version, 'EX', ttl_s) end
end

-- Increment the version. A portfolio that was removed and is set again continues with the last
-- version and attempt, so that reports of attempts before the removal are recognised as late.
local function next_version(id)
  local portfolio, gone = PORTFOLIO .. id, 'risk:live:gone:' .. id
  local version, attempt = unpack(redis.call('HMGET', gone, 'version', 'attempt'))
  if version then
    redis.call('HSET', portfolio, 'version', version, 'attempt', attempt, 'recorded', attempt)
    redis.call('UNLINK', gone)
  end
  return redis.call('HINCRBY', portfolio, 'version', 1)
end

-- Append one change of state to the stream. `standing` is JSON, or '' if nothing is known.
local function change_state(max_entries, id, version, attempt, limit, before, state, standing, reason)
  local entry = {'event', table.concat({version, attempt, #id, id, limit}, ':'), 'portfolio', id,
    'version', version, 'limit', limit, 'before', before, 'state', state, 'standing', standing}
  if reason ~= '' then
    entry[#entry + 1] = 'reason'
    entry[#entry + 1] = reason
  end
  redis.call('XADD', 'risk:breaches', 'MAXLEN', '~', max_entries, '*', unpack(entry))
  redis.call('HINCRBY', 'risk:counters', 'live_changes', 1)
end

-- script: set
-- Store a portfolio. It replaces the one with the same id.
-- ARGV  1 id  2 event id or ''  3 seconds that an event is kept  4 attributes, JSON
--       5.. instrument, quantity, ...
-- Returns the version; for an event that was seen, the version that it made.
local seen = version_of_event(ARGV[1], ARGV[2])
if seen then return seen end
local version = next_version(ARGV[1])
redis.call('HSET', PORTFOLIO .. ARGV[1], 'attributes', ARGV[4])
redis.call('HDEL', PORTFOLIO .. ARGV[1], 'failed')
redis.call('UNLINK', POSITIONS .. ARGV[1])
for i = 5, #ARGV, 2 do
  redis.call('HSET', POSITIONS .. ARGV[1], ARGV[i], ARGV[i + 1])
end
-- It is dirty and will be checked under the current market: it is not outdated as well.
redis.call('ZADD', 'risk:live', 'NX', redis.call('GET', 'risk:live:epoch') or 0, ARGV[1])
keep_event(ARGV[1], ARGV[2], version, ARGV[3])
mark('risk:live:dirty', ARGV[1], now_ms())
return version

-- script: change
-- Add to positions. Quantities are stored as text of 17 digits, which holds every bit of a float64;
-- HINCRBYFLOAT would round.
-- ARGV  1 id  2 event id or ''  3 seconds that an event is kept  4.. instrument, delta, ...
-- Returns {'changed', version}, {'unknown'}, or {'overflow', instrument} with nothing changed.
if redis.call('EXISTS', PORTFOLIO .. ARGV[1]) == 0 then return {'unknown'} end
local seen = version_of_event(ARGV[1], ARGV[2])
if seen then return {'changed', seen} end
local positions, sums = POSITIONS .. ARGV[1], {}
for i = 4, #ARGV, 2 do
  local sum = tonumber(redis.call('HGET', positions, ARGV[i]) or 0) + tonumber(ARGV[i + 1])
  if sum ~= sum or math.abs(sum) == math.huge then return {'overflow', ARGV[i]} end
  sums[#sums + 1] = sum
end
for number, sum in ipairs(sums) do
  local instrument = ARGV[2 + 2 * number]
  if sum == 0 then
    redis.call('HDEL', positions, instrument)
  else
    redis.call('HSET', positions, instrument, string.format('%.17g', sum))
  end
end
local version = redis.call('HINCRBY', PORTFOLIO .. ARGV[1], 'version', 1)
redis.call('HDEL', PORTFOLIO .. ARGV[1], 'failed')
keep_event(ARGV[1], ARGV[2], version, ARGV[3])
mark('risk:live:dirty', ARGV[1], now_ms())
return {'changed', version}

-- script: remove
-- Remove a portfolio. Its limits that are not ok become none: nothing is compared.
-- ARGV  1 id  2 event id or ''  3 seconds that the event and the last version are kept
--       4 entries that the stream keeps
-- Returns the last version, or nil for an unknown portfolio.
local id = ARGV[1]
local seen = version_of_event(id, ARGV[2])
if seen then return seen end
local version, attempt = unpack(redis.call('HMGET', PORTFOLIO .. id, 'version', 'attempt'))
if not version then return false end
local states = redis.call('HGETALL', STATES .. id)
for i = 1, #states, 2 do
  if states[i + 1] ~= 'none' then
    change_state(ARGV[4], id, version, 'removed', states[i], states[i + 1], 'none', '', '')
  end
end
local gone = 'risk:live:gone:' .. id
redis.call('HSET', gone, 'version', version, 'attempt', attempt or 0)
redis.call('EXPIRE', gone, ARGV[3])
redis.call('UNLINK', PORTFOLIO .. id, POSITIONS .. id, REPORT .. id, STATES .. id)
local sets = {'risk:live', 'risk:live:dirty', 'risk:live:critical', 'risk:live:in_progress'}
for _, set in ipairs(sets) do redis.call('ZREM', set, id) end
keep_event(id, ARGV[2], version, ARGV[3])
return tonumber(version)

-- script: critical_event
-- Mark portfolios as due at once in the critical lane. The next report of an attempt that starts
-- after this holds the reason.
-- ARGV  1 event id  2 reason  3.. ids
-- Returns the ids that are not live.
local now, unknown = now_ms(), {}
for i = 3, #ARGV do
  local id = ARGV[i]
  local version, attempt, known = unpack(redis.call('HMGET', PORTFOLIO .. id,
    'version', 'attempt', 'events'))
  if not version then
    unknown[#unknown + 1] = id
  else
    local events = {}
    for _, event in ipairs(cjson.decode(known or '[]')) do
      if event[2] ~= ARGV[1] then events[#events + 1] = event end
    end
    events[#events + 1] = {tonumber(attempt or 0) + 1, ARGV[1], ARGV[2]}
    -- Without a scheduler nothing takes the portfolio: the events of a portfolio are bounded.
    if #events > 10 then table.remove(events, 1) end
    redis.call('HSET', PORTFOLIO .. id, 'events', cjson.encode(events))
    mark('risk:live:critical', id, now)
  end
end
return unknown

-- script: take
-- Take portfolios that are due: those of critical events; else dirty ones, if there are enough or
-- one has waited long enough; else some whose report is outdated.
-- ARGV  1 dirty portfolios that are enough; limit of this call  2 ms after which one is enough
--       3 portfolios that may be in progress, twice as many with those of critical events
--       4 portfolios that may be in progress if outdated ones are taken; 0 for none
-- Returns {reason, ms until more may be due (-1: nothing is dirty or outdated),
--          {id, version, attempt, failed, attributes, {instrument, quantity, ...}}, ...}
--         where `reason` is 'critical', 'changed', 'outdated' or 'nothing'.
local now, n_in_progress = now_ms(), redis.call('ZCARD', 'risk:live:in_progress')
local function room(bound) return math.min(tonumber(ARGV[1]), bound - n_in_progress) end
local epoch = tonumber(redis.call('GET', 'risk:live:epoch') or 0)
local reason, ids = 'nothing', {}
local function take_from(name, free, ...)
  if #ids > 0 or free <= 0 then return end
  ids = redis.call('ZRANGE', ...)
  if #ids > 0 then reason = name end
end

take_from('critical', room(2 * ARGV[3]), 'risk:live:critical', 0, room(2 * ARGV[3]) - 1)
local oldest = redis.call('ZRANGE', 'risk:live:dirty', 0, 0, 'WITHSCORES')[2]
local due_ms = oldest and math.max(0, oldest + ARGV[2] - now)
if due_ms and due_ms > 0 and redis.call('ZCARD', 'risk:live:dirty') >= tonumber(ARGV[1]) then
  due_ms = 0
end
if due_ms == 0 then take_from('changed', room(ARGV[3]), 'risk:live:dirty', 0, room(ARGV[3]) - 1) end
if due_ms ~= 0 or room(ARGV[3]) <= 0 then
  take_from('outdated', room(ARGV[4]), 'risk:live', '-inf', '(' .. epoch, 'BYSCORE', 'LIMIT', 0,
    room(ARGV[4]))
end
-- If portfolios wait only for room, or are outdated, the collector looks again soon.
if #ids == 0 and (due_ms == 0 or redis.call('EXISTS', 'risk:live:critical') == 1) then due_ms = 20 end
if not due_ms and redis.call('ZCOUNT', 'risk:live', '-inf', '(' .. epoch) > 0 then due_ms = 20 end

local taken = {reason, due_ms or -1}
for _, id in ipairs(ids) do
  redis.call('ZREM', 'risk:live:dirty', id)
  redis.call('ZREM', 'risk:live:critical', id)
  redis.call('ZADD', 'risk:live:in_progress', now, id)
  redis.call('ZADD', 'risk:live', 'XX', epoch, id)
  local attempt = redis.call('HINCRBY', PORTFOLIO .. id, 'attempt', 1)
  local version, failed, attributes = unpack(redis.call('HMGET', PORTFOLIO .. id,
    'version', 'failed', 'attributes'))
  taken[#taken + 1] = {id, version, attempt, failed or '0', attributes,
    redis.call('HGETALL', POSITIONS .. id)}
end
return taken

-- script: start
-- Note that a worker computes these attempts.
-- ARGV  id, attempt, ...
for i = 1, #ARGV, 2 do
  if redis.call('HGET', PORTFOLIO .. ARGV[i], 'attempt') == ARGV[i + 1] then
    redis.call('HSET', PORTFOLIO .. ARGV[i], 'started', ARGV[i + 1])
  end
end
return 1

-- script: record
-- Store the report of one attempt, and append the limits that changed their state to the stream.
-- Attempts are numbered as portfolios are taken, so that a later one has the same version or a later
-- one. An attempt that is not later than the last recorded one is late and changes nothing.
-- ARGV  1 id  2 version  3 attempt  4 report  5 entries that the stream keeps
--       6 message that starts the dispatch of changes  7.. limit, state, standing, ...
-- Returns how many limits changed, or -1 for a late attempt.
local id, version, attempt = ARGV[1], ARGV[2], ARGV[3]
local portfolio, state_of = PORTFOLIO .. id, STATES .. id
local current, last_attempt, recorded, events = unpack(redis.call('HMGET', portfolio,
  'version', 'attempt', 'recorded', 'events'))
if not current or tonumber(version) > tonumber(current)
  or tonumber(attempt) <= tonumber(recorded or 0) then
  redis.call('HINCRBY', 'risk:counters', 'live_late', 1)
  return -1
end
-- The reasons of the critical events that this attempt answers; later ones wait for a later attempt.
local reasons, later = {}, {}
for _, event in ipairs(cjson.decode(events or '[]')) do
  if event[1] <= tonumber(attempt) then reasons[#reasons + 1] = event[3]
  else later[#later + 1] = event end
end
local reason = table.concat(reasons, '; ')
redis.call('HINCRBY', 'risk:counters', 'live_recorded', 1)
redis.call('HDEL', portfolio, 'failed', 'events', 'reason')
redis.call('HSET', portfolio, 'recorded', attempt, 'reported', version, 'reported_ms', now_ms())
if reason ~= '' then redis.call('HSET', portfolio, 'reason', reason) end
if #later > 0 then redis.call('HSET', portfolio, 'events', cjson.encode(later)) end
redis.call('SET', REPORT .. id, ARGV[4])
if attempt == last_attempt then redis.call('ZREM', 'risk:live:in_progress', id) end

local before, n_changed = {}, 0
local states = redis.call('HGETALL', state_of)
for i = 1, #states, 2 do before[states[i]] = states[i + 1] end
local function set_state(limit, state, standing)
  local was = before[limit] or 'ok'
  before[limit] = nil
  if was == state then return end
  if state == 'ok' then redis.call('HDEL', state_of, limit)
  else redis.call('HSET', state_of, limit, state) end
  change_state(ARGV[5], id, version, attempt, limit, was, state, standing, reason)
  n_changed = n_changed + 1
end
for i = 7, #ARGV, 3 do set_state(ARGV[i], ARGV[i + 1], ARGV[i + 2]) end
-- Limits that had a state and no longer apply become none, and nothing is kept of them.
for i = 1, #states, 2 do
  if before[states[i]] then
    set_state(states[i], 'none', '')
    redis.call('HDEL', state_of, states[i])
  end
end
if n_changed > 0 and redis.call('HLEN', 'risk:live:listeners') > 0
  and redis.call('SET', 'risk:live:dispatch', 1, 'NX', 'EX', 5) then
  redis.call('LPUSH', 'risk.critical', ARGV[6])
end
return n_changed

-- script: retry
-- Make portfolios dirty again that have been in progress for too long. One with too many failed
-- attempts is returned instead, with a new attempt whose report states that it was abandoned. Only
-- attempts that a worker started count as failed.
-- ARGV  1 ms  2 failed attempts  3 portfolios at once
-- Returns {how many are dirty again, {id, version, attempt, failed, attributes, {}}, ...}.
local now = now_ms()
local ids = redis.call('ZRANGE', 'risk:live:in_progress', '-inf', now - ARGV[1], 'BYSCORE',
  'LIMIT', 0, ARGV[3])
local abandoned, n_again = {}, 0
for _, id in ipairs(ids) do
  local portfolio = PORTFOLIO .. id
  local n_failed, last_attempt, started, events = unpack(redis.call('HMGET', portfolio,
    'failed', 'attempt', 'started', 'events'))
  local failed = tonumber(n_failed or 0)
  if last_attempt == started then failed = redis.call('HINCRBY', portfolio, 'failed', 1) end
  if failed < tonumber(ARGV[2]) then
    redis.call('ZREM', 'risk:live:in_progress', id)
    if events then mark('risk:live:critical', id, now) else mark('risk:live:dirty', id, now) end
    n_again = n_again + 1
  else
    redis.call('ZADD', 'risk:live:in_progress', now, id)
    local version, attributes = unpack(redis.call('HMGET', portfolio, 'version', 'attributes'))
    local attempt = redis.call('HINCRBY', portfolio, 'attempt', 1)
    abandoned[#abandoned + 1] = {id, version, attempt, tostring(failed), attributes, {}}
  end
end
return {n_again, unpack(abandoned)}

-- script: deliver
-- Put messages on the queue of a listener, unless another did since the position was read.
-- KEYS  1 queue
-- ARGV  1 name of the queue  2 position that was read  3 position after the messages  4.. messages
-- Returns 1 if they were put on the queue, else 0.
if redis.call('HGET', 'risk:live:listeners', ARGV[1]) ~= ARGV[2] then return 0 end
for i = 4, #ARGV do redis.call('LPUSH', KEYS[1], ARGV[i]) end
redis.call('HSET', 'risk:live:listeners', ARGV[1], ARGV[3])
return 1
