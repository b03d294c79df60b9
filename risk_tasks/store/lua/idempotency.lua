-- Requests by idempotency key.

-- script: claim
-- Claim a request: the owner of the claim answers it.
-- KEYS  1 entry of the idempotency key
-- ARGV  1 digest of the request  2 owner  3 ms until the claim expires unless it is renewed
-- Returns {state, renewals, head, body} with the state 'claimed', 'reused' if the key belongs to
-- another request, 'running', or 'answered'.
local request, head, body, renewals = unpack(redis.call('HMGET', KEYS[1],
  'request', 'head', 'body', 'renewals'))
if not request then
  redis.call('HSET', KEYS[1], 'request', ARGV[1], 'owner', ARGV[2], 'renewals', 0)
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return {'claimed', 0, '', ''}
end
if request ~= ARGV[1] then return {'reused', 0, '', ''} end
if head then return {'answered', 0, head, body} end
return {'running', renewals, '', ''}

-- script: renew
-- Renew a claim.
-- KEYS  1 entry of the idempotency key    ARGV  1 owner  2 ms until the claim expires
-- Returns 1, or 0 if the owner has lost the claim.
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
redis.call('HINCRBY', KEYS[1], 'renewals', 1)
return redis.call('PEXPIRE', KEYS[1], ARGV[2])

-- script: settle
-- Store the answer to a claimed request, or release the claim.
-- KEYS  1 entry of the idempotency key
-- ARGV  1 owner  2 head ('' to release the claim)  3 body  4 seconds that the answer is kept
-- Returns 1, or 0 if the owner has lost the claim. A repeated call, whose reply was lost, returns 1.
local owner, head, body = unpack(redis.call('HMGET', KEYS[1], 'owner', 'head', 'body'))
if ARGV[2] ~= '' and head == ARGV[2] and body == ARGV[3] then return 1 end
if owner ~= ARGV[1] then return 0 end
if ARGV[2] == '' then return redis.call('UNLINK', KEYS[1]) end
redis.call('HDEL', KEYS[1], 'owner')
redis.call('HSET', KEYS[1], 'head', ARGV[2], 'body', ARGV[3])
return redis.call('EXPIRE', KEYS[1], ARGV[4])
