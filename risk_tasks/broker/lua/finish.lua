-- End a block: the first answer is kept and wakes its caller; any other changes nothing. Of a block
-- whose answer is nobody's, nothing is kept.
-- A large answer was written under a key of its own just before, in the same transaction.
-- KEYS  1 block hash  2 a large answer  3 result
-- ARGV  1 block id  2 seconds to keep it  3 a small answer, or none
-- Returns the ms since the block was accepted, or nothing for a duplicate, which is counted.
local entry = redis.call('HMGET', KEYS[1], 'client', 'enqueued_ms', 'enqueued_us', 'unkept')
local client = entry[1]
if not client then
  redis.call('UNLINK', KEYS[2])
  redis.call('HINCRBY', 'risk:counters', 'duplicates', 1)
  return false
end
if entry[4] then
  redis.call('UNLINK', KEYS[2])
  settle(ARGV[1])
  discard(ARGV[1])
  return age_ms(entry[2], entry[3])
end
if ARGV[3] then
  redis.call('SET', KEYS[3], ARGV[3], 'EX', ARGV[2])
else
  redis.call('RENAME', KEYS[2], KEYS[3])
end
announce(ARGV[1], client, ARGV[2], ARGV[3])
discard(ARGV[1])
return age_ms(entry[2], entry[3])
