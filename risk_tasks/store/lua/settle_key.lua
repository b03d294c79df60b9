-- Keep the answer of a claim, or give the claim up where there is none to keep.
-- KEYS  1 the key's entry    ARGV  1 owner  2 head ('' for none)  3 body  4 seconds that it is kept
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
if ARGV[2] == '' then return redis.call('UNLINK', KEYS[1]) end
redis.call('HDEL', KEYS[1], 'owner')
redis.call('HSET', KEYS[1], 'head', ARGV[2], 'body', ARGV[3])
return redis.call('EXPIRE', KEYS[1], ARGV[4])
