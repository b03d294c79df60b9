-- Remove a dead letter for good.
-- KEYS  1 dead letter  2 payload
-- ARGV  1 letter id
-- Returns whether there was one.
local removed = forget_dead(ARGV[1]) + redis.call('UNLINK', KEYS[1])
-- Of a block that is no letter the payload stays.
if removed > 0 then redis.call('UNLINK', KEYS[2]) end
return removed > 0 and 1 or 0
