import { GROUP, REVISION } from './keys.js'
import { NOW, Script } from './script.js'

/** Changes what no two changes of the routes have in common. Uses `routes`. */
const REVISE = `
local changed = redis.call('TIME')
redis.call('HSET', routes, '${REVISION}', changed[1] .. '.' .. changed[2])
`

/** Makes a topic unless it exists. KEYS: routes. */
export const DECLARE_TOPIC = new Script(
  'declare-topic',
  `
local routes = KEYS[1]
if redis.call('EXISTS', routes) == 1 then return 1 end
${REVISE}
return 1
`,
)

/**
 * Makes a subscription unless it exists, and binds it to its topic unless its patterns differ. Replies what
 * it was declared with, empty if only now; 0 when there is no such topic.
 *
 * KEYS: stream, settings, routes. ARGV: its name, its patterns, names and values of settings.
 */
export const SUBSCRIBE = new Script(
  'subscribe',
  `
local stream, settings, routes = unpack(KEYS)
local name, patterns = ARGV[1], ARGV[2]
if redis.call('EXISTS', routes) == 0 then return 0 end
local made = redis.pcall('XGROUP', 'CREATE', stream, '${GROUP}', '0', 'MKSTREAM')
if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then return made end
local declared = redis.call('HGETALL', settings)
if #declared == 0 then
  redis.call('HSET', settings, unpack(ARGV, 3))
elseif redis.call('HGET', settings, 'patterns') ~= patterns then
  return declared
end
if redis.call('HGET', routes, name) ~= patterns then
  redis.call('HSET', routes, name, patterns)
  ${REVISE}
end
return declared
`,
)

/** Unbinds a subscription and removes it. KEYS: routes, keys of the subscription. ARGV: its name. */
export const UNSUBSCRIBE = new Script(
  'unsubscribe',
  `
local routes = KEYS[1]
if redis.call('HDEL', routes, ARGV[1]) == 1 then
  ${REVISE}
end
return redis.call('UNLINK', unpack(KEYS, 2))
`,
)

/**
 * Stores copies of a batch, in each subscription those that were routed to it, or nothing: replies 0 when the
 * topic does not exist, and its routes when they are no more what the batch was routed by.
 *
 * KEYS: routes; then stream, settings and ids of each subscription. ARGV: revision of the routes; batch of
 * { id, fields, numbers of subscriptions }.
 */
export const PUBLISH = new Script(
  'publish',
  `
local revision = redis.call('HGET', KEYS[1], '${REVISION}')
if not revision then return 0 end
if revision ~= ARGV[1] then return redis.call('HGETALL', KEYS[1]) end
${NOW}
local windows, retentions = {}, {}
for n = 1, (#KEYS - 1) / 3 do
  local declared = redis.call('HMGET', KEYS[3 * n], 'dedupWindowMs', 'retentionMs')
  windows[n] = tonumber(declared[1]) or 0
  retentions[n] = declared[2]
end
for _, item in ipairs(cmsgpack.unpack(ARGV[2])) do
  local id, fields = item[1], item[2]
  for _, n in ipairs(item[3]) do
    local window, ids = windows[n], KEYS[3 * n + 1]
    local seen = window > 0 and redis.call('ZSCORE', ids, id)
    if not seen or tonumber(seen) <= now then
      redis.call('XADD', KEYS[3 * n - 1], '*', unpack(fields))
      if window > 0 then redis.call('ZADD', ids, now + window, id) end
    end
  end
end
for n = 1, #windows do
  if windows[n] > 0 then redis.call('ZREMRANGEBYSCORE', KEYS[3 * n + 1], '-inf', now) end
  if retentions[n] then
    redis.call('XTRIM', KEYS[3 * n - 1], 'MINID', string.format('%.0f', now - retentions[n]))
  end
end
return 1
`,
)
