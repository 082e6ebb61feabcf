import { GROUP } from './keys.js'
import { CHUNK, MOST_BYTES, NOW, PROMOTE, REPLY, Script, SINCE } from './script.js'
import { TURNS } from './turns-script.js'

/**
 * Makes a queue unless it exists. Replies what it was declared with, empty if only now.
 *
 * KEYS: stream, settings. ARGV: names and values.
 */
export const DECLARE = new Script(
  'declare',
  `
local declared = redis.call('HGETALL', KEYS[2])
if #declared > 0 then
  -- Who may not make a group need not, where there is one.
  local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])
  for at = 1, groups.err and 0 or #groups do
    if groups[at][2] == '${GROUP}' then return declared end
  end
end
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], '${GROUP}', '0', 'MKSTREAM')
if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then return made end
if #declared > 0 then return declared end
redis.call('HSET', KEYS[2], unpack(ARGV))
return {}
`,
)

/** KEYS: stream, settings, delayed, leases, receivers. Replies { ready, in flight, delayed, oldest age, consumers }. */
export const STATS = new Script(
  'stats',
  `
local stream, settings, delayed, leases, receivers = unpack(KEYS)
if redis.call('EXISTS', settings) == 0 then return false end
${NOW}
local held = redis.call('ZCOUNT', leases, '(' .. now, '+inf')
local due = redis.call('ZCOUNT', delayed, '-inf', now)
local oldest = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
local age = oldest and now - string.match(oldest[1], '%d+') or 0
return {
  redis.call('XLEN', stream) - held + due,
  held,
  redis.call('ZCARD', delayed) - due,
  math.max(0, age),
  redis.call('ZCOUNT', receivers, '(' .. now, '+inf'),
}
`,
)

/**
 * Looks, oldest first. Replies { { id, 0, fields, … }, id to go on behind, or '' }.
 *
 * KEYS: stream, settings, delayed, leases, turns, waiting. ARGV: where to begin, most entries.
 */
export const BROWSE = new Script(
  'browse',
  `
local stream, settings, delayed, leases, turns, waiting = unpack(KEYS)
if redis.call('EXISTS', settings) == 0 then return false end
local keyed = redis.call('HGET', settings, 'order') == 'key'
${NOW}
${SINCE}
${TURNS}
${PROMOTE}
local from, limit = ARGV[1], tonumber(ARGV[2])
local out, taken, bytes, last = {}, 0, 0, ''
while taken < limit and bytes < ${MOST_BYTES} do
  local count = math.min(limit - taken, ${CHUNK})
  local found = redis.call('XRANGE', stream, from, '+', 'COUNT', count)
  for _, entry in ipairs(found) do
    local m = #out
    out[m + 1] = entry[1]
    out[m + 2] = 0
    out[m + 3] = entry[2]
    last = entry[1]
    for i = 2, #entry[2], 2 do bytes = bytes + #entry[2][i] end
  end
  taken = taken + #found
  from = '(' .. last
  if #found < count then
    last = ''
    break
  end
end
local parts = { out, last }
${REPLY}
`,
)

/**
 * Removes up to some thousand entries that nobody holds, and all that is delayed. Replies { how many,
 * id to go on behind, or '', last id there was in the beginning }.
 *
 * KEYS: stream, settings, delayed, leases, turns, waiting. ARGV: where to begin, last id or '+'.
 */
export const PURGE = new Script(
  'purge',
  `
local stream, settings, delayed, leases, turns, waiting = unpack(KEYS)
if redis.call('EXISTS', settings) == 0 then return false end
local keyed = redis.call('HGET', settings, 'order') == 'key'
${NOW}
${SINCE}
${TURNS}
local held = {}
for _, member in ipairs(redis.call('ZRANGEBYSCORE', leases, '(' .. now, '+inf')) do
  held[string.match(member, '^[^/]+')] = true
end
local removed, to = 0, ARGV[2]
if to == '+' then
  local newest = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  to = newest and newest[1] or '0-0'
  removed = redis.call('ZCARD', delayed)
  redis.call('UNLINK', delayed)
  local under_way = keyed and redis.call('HGETALL', turns) or {}
  for i = 1, #under_way, 2 do
    if not string.find(under_way[i + 1], '-', 1, true) then pass_turn(under_way[i], under_way[i + 1]) end
  end
end
local over = {}
local from, last, seen, bytes, count = ARGV[1], '', 0, 0, 1
while seen < 2000 and bytes < ${MOST_BYTES} do
  local found = redis.call('XRANGE', stream, from, to, 'COUNT', count)
  local ids = {}
  for _, entry in ipairs(found) do
    last = entry[1]
    for i = 2, #entry[2], 2 do bytes = bytes + #entry[2][i] end
    if not held[last] then
      ids[#ids + 1] = last
      local key = keyed and key_of(entry[2])
      if key and redis.call('ZREM', waiting, place_of(key, last)) == 0 then over[#over + 1] = { key, last } end
    end
  end
  if #ids > 0 then
    redis.pcall('XACK', stream, '${GROUP}', unpack(ids))
    removed = removed + redis.call('XDEL', stream, unpack(ids))
  end
  seen = seen + #found
  from = '(' .. last
  if #found < count then
    last = ''
    break
  end
  -- As many at once as their size allows, which the ones before tell.
  if bytes < 1048576 then count = math.min(count * 2, 500) end
end
for _, each in ipairs(over) do pass_turn(each[1], each[2]) end
return { removed, last, to }
`,
)
