-- Say how many shards there are, or learn it; another number only where nothing waits in a shard.
-- ARGV  1 how many ('' whatever there are)  2 whether somebody serves the ones there are  3.. lanes
-- Returns {'agreed', how many}, {'served', how many} or {'waiting', how many}.
local kept = tonumber(redis.call('GET', 'risk:shards') or 1)
local wanted = tonumber(ARGV[1]) or kept
if wanted ~= kept then
  if ARGV[2] == '1' then return {'served', kept} end
  for place = 3, #ARGV do
    for shard = 0, kept - 1 do
      if redis.call('EXISTS', 'risk.' .. ARGV[place] .. '.' .. shard) == 1 then
        return {'waiting', kept}
      end
    end
    redis.call('UNLINK', 'risk:shard_leases:' .. ARGV[place], 'risk:shard_workers:' .. ARGV[place])
  end
end
redis.call('SET', 'risk:shards', wanted)
return {'agreed', wanted}
