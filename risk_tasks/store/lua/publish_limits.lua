-- Make a limit set the current one of its name.
-- KEYS  1 limit set  2 names
-- ARGV  1 version  2 name  3 limit set, JSON
redis.call('SET', KEYS[1], ARGV[3])
if redis.call('HGET', KEYS[2], ARGV[2]) == ARGV[1] then return end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[1])
outdate(ARGV[2])
