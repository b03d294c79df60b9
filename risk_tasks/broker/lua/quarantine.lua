-- Keep a message that no worker may see.
-- ARGV  1 letter id  2 message  3 lane  4 reason  5 how many dead are kept  6 in how many bytes
redis.call('HSET', 'risk:dead:' .. ARGV[1], 'envelope', ARGV[2], 'lane', ARGV[3])
redis.call('HINCRBY', 'risk:counters', 'quarantined', 1)
keep_dead(ARGV[1], ARGV[4], now_ms(), ARGV[5], ARGV[6])
return 1
