-- Remove a dead letter for good.
-- KEYS  1 dead letter
-- ARGV  1 letter id
-- Returns whether there was one.
local removed = forget_dead(ARGV[1])
return removed + redis.call('UNLINK', KEYS[1]) > 0 and 1 or 0
