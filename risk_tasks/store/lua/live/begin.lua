-- Note that somebody computes these turns.
-- ARGV  id, turn, ...
for place = 1, #ARGV, 2 do
  local portfolio = 'risk:live:portfolio:' .. ARGV[place]
  if redis.call('HGET', portfolio, 'turn') == ARGV[place + 1] then
    redis.call('HSET', portfolio, 'begun', ARGV[place + 1])
  end
end
return 1
