-- End a block: the first answer is kept and wakes its caller; any other changes nothing.
-- A large answer was written under a key of its own just before, in the same transaction.
-- KEYS  1 block hash  2 a large answer  3 result
-- ARGV  1 block id  2 seconds to keep it  3 a small answer, or none
-- Returns 1 for the first answer, 0 for a duplicate, which is counted.
local client = redis.call('HGET', KEYS[1], 'client')
if not client then
  redis.call('UNLINK', KEYS[2])
  redis.call('HINCRBY', 'risk:counters', 'duplicates', 1)
  return 0
end
if ARGV[3] then
  redis.call('SET', KEYS[3], ARGV[3], 'EX', ARGV[2])
else
  redis.call('RENAME', KEYS[2], KEYS[3])
end
announce(ARGV[1], client, ARGV[2], ARGV[3])
discard(ARGV[1])
return 1
