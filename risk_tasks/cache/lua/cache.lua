-- Scripts of the result cache.

-- script: claim
-- Take the free leases of keys whose values are not stored.
-- KEYS  1..n leases  n+1..2n values
-- ARGV  1 token of the caller  2 lease time in ms
-- Returns for each key 0: leased to another caller, 1: leased to this caller, 2: the value is stored.
local n = #KEYS / 2
local states = {}
for i = 1, n do
  if redis.call('EXISTS', KEYS[n + i]) == 1 then
    states[i] = 2
  elseif redis.call('SET', KEYS[i], ARGV[1], 'NX', 'PX', ARGV[2])
    or redis.call('GET', KEYS[i]) == ARGV[1] then
    states[i] = 1
  else
    states[i] = 0
  end
end
return states

-- script: release
-- Delete the leases that still belong to the caller; an expired lease may belong to another one.
-- KEYS  leases
-- ARGV  1 token of the caller
-- Returns the number of leases that were deleted.
local released = 0
for _, lease in ipairs(KEYS) do
  if redis.call('GET', lease) == ARGV[1] then
    released = released + redis.call('UNLINK', lease)
  end
end
return released

-- script: store
-- Store entries. One script is ten times cheaper for the caller than one command per entry.
-- KEYS  names of the entries
-- ARGV  for each entry: its time to live in ms, its bytes
for i = 1, #KEYS do
  redis.call('SET', KEYS[i], ARGV[2 * i], 'PX', ARGV[2 * i - 1])
end
return #KEYS
