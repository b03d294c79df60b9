-- Take names off their list whose hash is gone now: one that is said again between a look and this
-- stays, since who says it again and again does not list it again.
-- KEYS  1 list of names  2.. the hash of each
-- ARGV  the names, in the order of their hashes
-- Returns how many were taken off.
local n = 0
for place, name in ipairs(ARGV) do
  if redis.call('EXISTS', KEYS[place + 1]) == 0 then
    n = n + redis.call('SREM', KEYS[1], name)
  end
end
return n
