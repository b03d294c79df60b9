-- Keep a dead letter of a live portfolio that was given up, in place of its earlier one.
-- ARGV  1 letter id  2 portfolio  3 lane  4 reason  5 attempts  6 what is known of it, JSON
--       7 how many dead are kept  8 in how many bytes
local grave = 'risk:dead:' .. ARGV[1]
forget_dead(ARGV[1])
redis.call('UNLINK', grave)
redis.call('HSET', grave, 'portfolio', ARGV[2], 'lane', ARGV[3], 'put_back', ARGV[5],
  'envelope', ARGV[6], 'checks', 1)
redis.call('HINCRBY', 'risk:counters', 'live_given_up', 1)
keep_dead(ARGV[1], ARGV[4], now_ms(), ARGV[7], ARGV[8])
return 1
