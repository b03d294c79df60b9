-- Claim keys that nobody computes and whose values are not there.
-- KEYS  1..n leases  n+1..2n values
-- ARGV  1 token  2 milliseconds that a lease lasts
-- Returns for each key 0 where another has the lease, 1 where it is ours, 2 where the value is there.
local n = #KEYS / 2
local answer = {}
for place = 1, n do
  if redis.call('EXISTS', KEYS[n + place]) == 1 then
    answer[place] = 2
  elseif redis.call('SET', KEYS[place], ARGV[1], 'NX', 'PX', ARGV[2])
    or redis.call('GET', KEYS[place]) == ARGV[1] then
    answer[place] = 1
  else
    answer[place] = 0
  end
end
return answer
