-- Keep entries: a script reads them as one command, where as many commands cost the caller ten times
-- as much.
-- KEYS  their names
-- ARGV  1 milliseconds that they live  2.. the entries
for place = 1, #KEYS do
  redis.call('SET', KEYS[place], ARGV[place + 1], 'PX', ARGV[1])
end
return #KEYS
