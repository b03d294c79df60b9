-- Give up all leases of a worker, which serves no longer.
-- ARGV  1 worker  2.. its lanes
for place = 2, #ARGV do
  local leases = 'risk:shard_leases:' .. ARGV[place]
  redis.call('ZREM', 'risk:shard_workers:' .. ARGV[place], ARGV[1])
  local held = redis.call('HGETALL', leases)
  for at = 1, #held, 2 do
    if held[at + 1] == ARGV[1] then redis.call('HDEL', leases, held[at]) end
  end
end
return 1
