-- End a block: the first answer is stored and wakes its caller; any other changes nothing.
-- KEYS  1 block hash
-- ARGV  1 block id  2 answer  3 seconds to keep it
-- Returns 1 for the first answer, 0 for a duplicate, which is counted.
if not answer(ARGV[1], ARGV[2], ARGV[3]) then
  redis.call('HINCRBY', 'risk:counters', 'duplicates', 1)
  return 0
end
redis.call('UNLINK', KEYS[1])
return 1
