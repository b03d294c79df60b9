-- Fetched messages of Celery that are not acknowledged, as kombu keeps them: a hash and an index.
-- The index has seconds of the server's clock, where kombu has those of each worker.

local time = redis.call('TIME')
local now_s = time[1] + time[2] / 1e6

-- script: track
-- Add a message.
-- KEYS  1 unacked  2 its index
-- ARGV  1 delivery tag  2 message, exchange and queue, JSON  3 seconds from now  4 epoch before which
--       it does not start
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], math.max(now_s + ARGV[3], ARGV[4]), ARGV[1])
return 1

-- script: postpone
-- Change the time from which the visibility timeout of a message counts.
-- KEYS  1 index of unacked
-- ARGV  1 delivery tag  2 seconds from now, negative ones for the past
return redis.call('ZADD', KEYS[1], 'XX', now_s + ARGV[2], ARGV[1])
