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
