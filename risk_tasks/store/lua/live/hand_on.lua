-- Put messages for a listener on its queue, unless somebody did so since its place was read.
-- KEYS  1 listeners  2 queue
-- ARGV  1 queue's name  2 place that was read  3 place after these  4.. messages
-- Returns whether they were put.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
for place = 4, #ARGV do redis.call('LPUSH', KEYS[2], ARGV[place]) end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
