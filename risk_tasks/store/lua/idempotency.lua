-- Requests by idempotency key.

-- script: claim
-- Claim the answering of a request under its idempotency key.
-- KEYS  1 the key's entry
-- ARGV  1 digest of the request  2 who claims it  3 ms until the claim lapses unless it is renewed
-- Returns 'claimed', or 'reused' where the key stands for another request, or 'running' with the
-- number of renewals, or 'answered' with the head and the body of the answer.
local request, head, body, beats = unpack(redis.call('HMGET', KEYS[1], 'request', 'head', 'body', 'beats'))
if not request then
  redis.call('HSET', KEYS[1], 'request', ARGV[1], 'owner', ARGV[2], 'beats', 0)
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return {'claimed'}
end
if request ~= ARGV[1] then return {'reused'} end
if head then return {'answered', head, body} end
return {'running', beats}

-- script: renew
-- Say that the owner of a claim lives.
-- KEYS  1 the key's entry    ARGV  1 owner  2 ms until the claim lapses
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
redis.call('HINCRBY', KEYS[1], 'beats', 1)
return redis.call('PEXPIRE', KEYS[1], ARGV[2])

-- script: settle
-- Keep the answer of a claim, or give the claim up where there is none to keep.
-- KEYS  1 the key's entry    ARGV  1 owner  2 head ('' for none)  3 body  4 seconds that it is kept
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
if ARGV[2] == '' then return redis.call('UNLINK', KEYS[1]) end
redis.call('HDEL', KEYS[1], 'owner')
redis.call('HSET', KEYS[1], 'head', ARGV[2], 'body', ARGV[3])
return redis.call('EXPIRE', KEYS[1], ARGV[4])
