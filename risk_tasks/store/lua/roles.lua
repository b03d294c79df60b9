-- Remove names from their set if their hash does not exist. A name that was announced again since the
-- caller looked stays: its role renews the hash only, and would not add the name again.
-- KEYS  1 set of names  2.. the hash of each
-- ARGV  the names, in the order of their hashes
-- Returns how many were removed.
local n = 0
for i, name in ipairs(ARGV) do
  if redis.call('EXISTS', KEYS[i + 1]) == 0 then
    n = n + redis.call('SREM', KEYS[1], name)
  end
end
return n
