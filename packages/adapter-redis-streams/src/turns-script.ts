import { FIELD_HEADERS } from '@msgloop/core/driver'

/**
 * Of a queue with order by key. All its messages are in the stream, as in any other. `turns` says which entry of
 * a key may be handed over, and it alone: by id, or by the counter of its copy in `delayed` while it waits for a
 * retry. Entries that come to be read meanwhile are left pending with nobody: they are in `waiting`, whose
 * members sort by key and then by entry. When the one whose turn it is has been settled, the next of them is put
 * where whatever was given back is, as `<entry id>/0/<key>`.
 *
 * So whoever dies, and whatever comes again, the turn is passed on by a settlement and by nothing else.
 */

/** Uses `stream`, `leases`, `turns`, `waiting` and `since`. */
export const TURNS = `
local function key_of(fields)
  for i = 1, #fields, 2 do
    if fields[i] == '${FIELD_HEADERS.key}' then return fields[i + 1] ~= '' and fields[i + 1] or nil end
  end
end
local function places_of(key)
  return #key .. ':' .. key .. '/'
end
local function place_of(key, id)
  local ms, n = string.match(id, '(%d+)-(%d+)')
  return places_of(key) .. string.rep('0', 20 - #ms) .. ms .. '-' .. string.rep('0', 20 - #n) .. n
end
-- Whether it is the turn of an entry. If not it waits for that.
local function admit(id, key)
  if not key or redis.call('HSETNX', turns, key, id) == 1 or redis.call('HGET', turns, key) == id then
    return true
  end
  redis.call('ZADD', waiting, 0, place_of(key, id))
  return false
end
-- Gives the turn from one entry, or counter, to another.
local function keep_turn(key, from, to)
  if redis.call('HGET', turns, key) == from then redis.call('HSET', turns, key, to) end
end
-- Gives it to the next that waits, if any, and tells whether there was one.
local function pass_turn(key, from)
  if redis.call('HGET', turns, key) ~= from then return false end
  local places = places_of(key)
  local first = redis.call('ZRANGEBYLEX', waiting, '[' .. places, '(' .. places .. ':', 'LIMIT', 0, 1)[1]
  if not first then
    redis.call('HDEL', turns, key)
    return false
  end
  local ms, n = string.match(string.sub(first, #places + 1), '^0*(%d+)%-0*(%d+)$')
  local id = ms .. '-' .. n
  redis.call('ZREM', waiting, first)
  redis.call('HSET', turns, key, id)
  redis.call('ZADD', leases, since(id), id .. '/0/' .. key)
  return true
end
`
