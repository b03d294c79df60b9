-- Prepended to the scripts that tell of changes of state.

-- One entry in the stream. `standing` is JSON, '' where nothing is known of it.
local function change_state(stream, kept, id, version, turn, limit, before, state, standing)
  redis.call('XADD', stream, 'MAXLEN', '~', kept, '*', 'event',
    table.concat({version, turn, #id, id, limit}, ':'), 'portfolio', id, 'version', version,
    'limit', limit, 'before', before, 'state', state, 'standing', standing)
  redis.call('HINCRBY', 'risk:counters', 'live_changes', 1)
end
