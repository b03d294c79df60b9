-- Give leases back that are still ours: one that has run out may be another's by now.
-- KEYS  leases
-- ARGV  1 token
-- Returns how many were ours.
local released = 0
for _, lease in ipairs(KEYS) do
  if redis.call('GET', lease) == ARGV[1] then
    released = released + redis.call('UNLINK', lease)
  end
end
return released
