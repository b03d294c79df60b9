-- Say that the owner of a claim lives.
-- KEYS  1 the key's entry    ARGV  1 owner  2 ms until the claim lapses
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
redis.call('HINCRBY', KEYS[1], 'beats', 1)
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
