-- End a block: the first answer is kept and wakes its caller; any other changes nothing.
-- The answer was written under a key of its own just before, in the same transaction.
-- KEYS  1 block hash  2 the answer  3 result
-- ARGV  1 block id  2 seconds to keep it
-- Returns 1 for the first answer, 0 for a duplicate, which is counted.
local client = redis.call('HGET', KEYS[1], 'client')
if not client then
  redis.call('UNLINK', KEYS[2])
  redis.call('HINCRBY', 'risk:counters', 'duplicates', 1)
  return 0
end
redis.call('RENAME', KEYS[2], KEYS[3])
announce(ARGV[1], client, ARGV[2])
discard(ARGV[1])
return 1
