import { ARRIVING, GROUP } from './keys.js'
import { ALLOWED_WHEN_FULL, CHUNK, MOST_BYTES, NOW, PROMOTE, REPLY, Script, SINCE } from './script.js'
import { TURNS } from './turns-script.js'

/** What a blocking read delivered and nobody took within this is lost to its reader: its reply never came. */
const LOST_ARRIVAL_MS = 1_000
/** What somebody reads from the group without a lease, as by hand, and leaves pending comes back after this. */
const STRAY_MS = 300_000

/** Most entries whose turn it is not that are passed over in one go. */
const MOST_PASSED_OVER = 1_000
/** Keys that are looked at for a turn of an entry that is no more, deleted by hand or by its age. */
const MOST_TURNS = 500

/**
 * Takes up to `max` messages, each with a lease: makes delayed ones ready that are due, then takes what
 * arrived by a blocking read, hand-overs whose lease is over, and new entries, in this order. With
 * `max` 0 it only shows that the queue exists and makes the receiver known. Replies nil when the queue
 * does not exist, else { { id, deliveries, fields, … }, ms until something is due, 1 if there may be more,
 * 1 if it is in order by key }.
 *
 * KEYS: stream, leases, settings, delayed, receivers, turns, waiting. ARGV: max, lease, receiver, nonce, ids
 * that arrived, 1 to look for strays, ms to look ahead.
 *
 * A hand-over is a member of `leases`: `<entry id>/<deliveries>/<nonce>`. No two are equal, so who holds
 * one that is over can settle nothing. What was given back is there as `<entry id>/<deliveries so far>/`,
 * over since the entry was added: the first to be taken again, in the order of the stream.
 */
export const RECEIVE = new Script(
  'receive',
  `
local stream, leases, settings, delayed, receivers, turns, waiting = unpack(KEYS)
local max, lease, me, nonce = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4]
local declared = redis.call('HMGET', settings, 'role', 'order')
if not declared[1] then return false end
local keyed = declared[2] == 'key'
${NOW}
${ALLOWED_WHEN_FULL}
${SINCE}
${TURNS}

local idle, most = ${LOST_ARRIVAL_MS}, max + 1
if keyed then idle, most = 0, 1000000 end
local missed = redis.pcall('XPENDING', stream, '${GROUP}', 'IDLE', idle, '-', '+', most, '${ARRIVING}')
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
  local vanished = keyed and redis.call('HRANDFIELD', turns, ${MOST_TURNS}, 'WITHVALUES') or {}
  for i = 1, #vanished, 2 do
    local key, id = vanished[i], vanished[i + 1]
    if string.find(id, '-', 1, true) and #redis.call('XRANGE', stream, id, id) == 0 then pass_turn(key, id) end
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
local first = '/1' .. holder
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
local function claim(id, deliveries, key)
  local entry
  if key then
    -- It waited for its turn, pending with nobody.
    entry = redis.call('XCLAIM', stream, '${GROUP}', me, 0, id, 'RETRYCOUNT', deliveries, 'FORCE')[1]
  else
    entry = redis.call('XCLAIM', stream, '${GROUP}', me, 0, id, 'RETRYCOUNT', deliveries)[1]
  end
  if entry and (not keyed or admit(id, key_of(entry[2]))) then
    take(id, deliveries, entry[2])
  else
    redis.call('XACK', stream, '${GROUP}', id)
    if key and not entry then pass_turn(key, id) end
  end
  grant()
end

-- What arrived was read before anything that is read here, so its keys are its own, whoever takes it.
if keyed then
  local admitted = {}
  for _, each in ipairs(missed) do
    local entry = redis.call('XRANGE', stream, each[1], each[1])[1]
    if entry and admit(each[1], key_of(entry[2])) then
      if each[3] >= ${LOST_ARRIVAL_MS} then admitted[#admitted + 1] = each end
    else
      redis.call('XACK', stream, '${GROUP}', each[1])
    end
  end
  missed = admitted
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
  local id, deliveries, rest = string.match(member, '^([^/]+)/(%d+)/(.*)$')
  redis.call('ZREM', leases, member)
  claim(id, deliveries + 1, keyed and deliveries == '0' and rest ~= '' and rest)
end
local drained, over = false, 0
while taken < max and bytes < ${MOST_BYTES} and over < ${MOST_PASSED_OVER} and not drained do
  local count = math.min(max - taken, ${CHUNK})
  local found = redis.call('XREADGROUP', 'GROUP', '${GROUP}', me, 'COUNT', count, 'STREAMS', stream, '>')
  local entries = found and found[1][2] or {}
  local not_yet, n, m = {}, 0, #out
  for i = 1, #entries do
    local entry = entries[i]
    local id, fields = entry[1], entry[2]
    if not keyed or admit(id, key_of(fields)) then
      granted[n + 1], granted[n + 2] = deadline, id .. first
      out[m + 1], out[m + 2], out[m + 3] = id, 1, fields
      n, m = n + 2, m + 3
      for j = 2, #fields, 2 do bytes = bytes + #fields[j] end
    else
      not_yet[#not_yet + 1] = id
    end
  end
  taken = taken + n / 2
  grant()
  if #not_yet > 0 then redis.call('XACK', stream, '${GROUP}', unpack(not_yet)) end
  over = over + #not_yet
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
local parts = { out, math.ceil(wait), (max > 0 and not drained) and 1 or 0, keyed and 1 or 0 }
${REPLY}
`,
)
