import { ARRIVING, GROUP } from './keys.js'
import { ALLOWED_WHEN_FULL, CHUNK, MOST_BYTES, NOW, PROMOTE, REPLY, Script } from './script.js'

/** What a blocking read delivered and nobody took within this is lost to its reader: its reply never came. */
const LOST_ARRIVAL_MS = 1_000
/** What somebody reads from the group without a lease, as by hand, and leaves pending comes back after this. */
const STRAY_MS = 300_000

/**
 * Takes up to `max` messages, each with a lease: makes delayed ones ready that are due, then takes what
 * arrived by a blocking read, hand-overs whose lease is over, and new entries, in this order. With
 * `max` 0 it only shows that the queue exists and makes the receiver known. Replies nil when the queue
 * does not exist, else { { id, deliveries, fields, … }, ms until something is due, 1 if there may be more }.
 *
 * KEYS: stream, leases, settings, delayed, receivers. ARGV: max, lease, receiver, nonce, ids that
 * arrived, 1 to look for strays, ms to look ahead.
 *
 * A hand-over is a member of `leases`: `<entry id>/<deliveries>/<nonce>`. No two are equal, so who holds
 * one that is over can settle nothing. What was given back is there as `<entry id>/<deliveries so far>/`,
 * over since the entry was added: the first to be taken again, in the order of the stream.
 */
export const RECEIVE = new Script(
  'receive',
  `
local stream, leases, settings, delayed, receivers = unpack(KEYS)
local max, lease, me, nonce = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4]
if redis.call('EXISTS', settings) == 0 then return false end
${NOW}
${ALLOWED_WHEN_FULL}

local missed = redis.pcall('XPENDING', stream, '${GROUP}', 'IDLE', ${LOST_ARRIVAL_MS}, '-', '+', max + 1, '${ARRIVING}')
if missed.err then
  if not string.find(missed.err, 'NOGROUP', 1, true) then return missed end
  redis.call('XGROUP', 'CREATE', stream, '${GROUP}', '0', 'MKSTREAM')
  missed = {}
end

for _, gone in ipairs(redis.call('ZRANGEBYSCORE', receivers, '-inf', now, 'LIMIT', 0, 8)) do
  if #redis.call('XPENDING', stream, '${GROUP}', '-', '+', 1, gone) == 0 then
    redis.call('XGROUP', 'DELCONSUMER', stream, '${GROUP}', gone)
    redis.call('ZREM', receivers, gone)
  end
end
redis.call('ZADD', receivers, now + lease + 1000, me)

if ARGV[6] == '1' then
  local held = {}
  for _, member in ipairs(redis.call('ZRANGE', leases, 0, -1)) do
    held[string.match(member, '^[^/]+')] = true
  end
  for _, stray in ipairs(redis.call('XPENDING', stream, '${GROUP}', 'IDLE', ${STRAY_MS}, '-', '+', 100)) do
    if not held[stray[1]] and stray[2] ~= '${ARRIVING}' then
      redis.call('ZADD', leases, 0, stray[1] .. '/' .. stray[4] .. '/')
    end
  end
end

${PROMOTE}
local out, taken, bytes = {}, 0, 0
-- Leases come right after what they are for: nothing that may fail lies between.
local granted, deadline, holder = {}, string.format('%.0f', now + lease), '/' .. nonce
local function grant()
  if #granted == 0 then return end
  redis.call('ZADD', leases, unpack(granted))
  granted = {}
end
local function take(id, deliveries, fields)
  local n, m = #granted, #out
  granted[n + 1] = deadline
  granted[n + 2] = id .. '/' .. deliveries .. holder
  out[m + 1] = id
  out[m + 2] = deliveries
  out[m + 3] = fields
  taken = taken + 1
  for i = 2, #fields, 2 do bytes = bytes + #fields[i] end
end
local function claim(id, deliveries)
  local entry = redis.call('XCLAIM', stream, '${GROUP}', me, 0, id, 'RETRYCOUNT', deliveries)[1]
  if entry then take(id, deliveries, entry[2]) else redis.call('XACK', stream, '${GROUP}', id) end
  grant()
end

local arrived = {}
for _, id in ipairs(cmsgpack.unpack(ARGV[5])) do
  arrived[id] = true
  local mine = redis.call('XPENDING', stream, '${GROUP}', id, id, 1, '${ARRIVING}')[1]
  if mine then
    redis.call('XCLAIM', stream, '${GROUP}', me, 0, id, 'RETRYCOUNT', 1, 'JUSTID')
    take(id, 1, {})
    grant()
  end
end
for _, each in ipairs(missed) do
  if taken >= max then break end
  if not arrived[each[1]] then claim(each[1], 1) end
end
for _, member in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, max)) do
  if taken >= max or bytes >= ${MOST_BYTES} then break end
  local id, deliveries = string.match(member, '^([^/]+)/(%d+)/')
  redis.call('ZREM', leases, member)
  claim(id, deliveries + 1)
end
local drained = false
while taken < max and bytes < ${MOST_BYTES} and not drained do
  local count = math.min(max - taken, ${CHUNK})
  local found = redis.call('XREADGROUP', 'GROUP', '${GROUP}', me, 'COUNT', count, 'STREAMS', stream, '>')
  local entries = found and found[1][2] or {}
  for i = 1, #entries do take(entries[i][1], 1, entries[i][2]) end
  grant()
  drained = #entries < count
end

local wait = tonumber(ARGV[7])
local function until_first(key)
  local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
  if first then wait = math.max(0, math.min(wait, first - now)) end
end
until_first(leases)
-- Its members are whole messages: not looked at for nothing.
if redis.call('ZCOUNT', delayed, '-inf', now + wait) > 0 then until_first(delayed) end
local parts = { out, math.ceil(wait), (max > 0 and not drained) and 1 or 0 }
${REPLY}
`,
)
