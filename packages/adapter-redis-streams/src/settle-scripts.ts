import { GROUP } from './keys.js'
import { ALLOWED_WHEN_FULL, NOW, Script, SINCE } from './script.js'
import { TURNS } from './turns-script.js'

/** Names and values. Lua passes no more than 8 000 arguments; none of msgloop's own comes near. */
const MOST_FIELDS = 7_900

/**
 * Settles a batch of hand-overs, each only if it is still held; all in one step, so that a retry or a
 * move is never in two places, nor in none. Replies { turns passed on, place in the batch, 1 lost | 2 no
 * such queue | 3 too many fields | error of its stream, … }: the failures, counting acks first.
 *
 * KEYS: stream, leases, settings, delayed, turns, waiting; then stream and settings of each queue moved to.
 * ARGV: hand-overs to ack, as { { "/<deliveries>/<nonce>", entry id, … }, … }; batch of { 1 release | 2 retry | 3 move, hand-over, delay or number of the queue,
 * names of fields to leave out, fields to add }; where there is order by key, keys of the acks and then of the
 * others, '' for none.
 */
export const SETTLE = new Script(
  'settle',
  `
local stream, leases, settings, delayed, turns, waiting = unpack(KEYS)
local acks, others = cmsgpack.unpack(ARGV[1]), cmsgpack.unpack(ARGV[2])
local keys = ARGV[3] and cmsgpack.unpack(ARGV[3])
${NOW}
${ALLOWED_WHEN_FULL}
${SINCE}
${TURNS}
local over, done, failures, passed = {}, {}, { 0 }, {}
local function fail(place, why)
  failures[#failures + 1] = place
  failures[#failures + 1] = why
end
local place = 0
for _, same in ipairs(acks) do
  local holding, members = same[1], {}
  for i = 2, #same do members[i - 1] = same[i] .. holding end
  local held = redis.call('ZMSCORE', leases, unpack(members))
  for i = 1, #members do
    place = place + 1
    if held[i] then
      local id = same[i + 1]
      over[#over + 1] = members[i]
      done[#done + 1] = id
      if keys and keys[place] ~= '' then passed[#passed + 1] = { keys[place], id } end
    else
      fail(place - 1, 1)
    end
  end
end

local function copy(id, without, more)
  local entry = redis.call('XRANGE', stream, id, id)[1]
  if not entry then return nil end
  local left_out, fields = {}, {}
  for _, name in ipairs(without) do left_out[name] = true end
  for i = 1, #entry[2], 2 do
    if not left_out[entry[2][i]] then
      fields[#fields + 1] = entry[2][i]
      fields[#fields + 1] = entry[2][i + 1]
    end
  end
  for _, text in ipairs(more) do fields[#fields + 1] = text end
  return fields
end
-- Its copy keeps its turn.
local function retry(id, key, delay, fields)
  if not fields then return end
  local again
  if delay <= 0 then
    again = redis.call('XADD', stream, '*', unpack(fields))
  else
    again = string.format('%016x', redis.call('HINCRBY', settings, 'sent', 1))
    redis.call('ZADD', delayed, now + 1 + delay, cmsgpack.pack(again, fields))
  end
  if key then keep_turn(key, id, again) end
end
local function move(to, retention, fields)
  local stored = fields and redis.pcall('XADD', to, '*', unpack(fields))
  if type(stored) == 'table' then return stored.err end
  if retention then redis.call('XTRIM', to, 'MINID', string.format('%.0f', now - retention)) end
end
for i, each in ipairs(others) do
  local verdict, member, which = each[1], each[2], each[3]
  local key = keys and keys[place + i] ~= '' and keys[place + i]
  local id, deliveries = string.match(member, '^([^/]+)/(%d+)/')
  local declared = verdict == 3 and redis.call('HMGET', KEYS[6 + 2 * which], 'role', 'retentionMs')
  if not redis.call('ZSCORE', leases, member) then
    fail(place + i - 1, 1)
  elseif declared and not declared[1] then
    fail(place + i - 1, 2)
  else
    local fields = verdict ~= 1 and copy(id, each[4], each[5])
    local refused
    if fields and #fields > ${MOST_FIELDS} then
      refused = 3
    elseif verdict == 1 then
      redis.call('ZADD', leases, since(id), id .. '/' .. (deliveries - 1) .. '/')
    elseif verdict == 2 then
      retry(id, key, which, fields)
    else
      refused = move(KEYS[5 + 2 * which], declared[2], fields)
    end
    if refused then
      fail(place + i - 1, refused)
    else
      over[#over + 1] = member
      if verdict ~= 1 then done[#done + 1] = id end
      if key and (verdict == 3 or not fields) and verdict ~= 1 then passed[#passed + 1] = { key, id } end
    end
  end
end
if #over > 0 then redis.call('ZREM', leases, unpack(over)) end
if #done > 0 then
  redis.call('XACK', stream, '${GROUP}', unpack(done))
  redis.call('XDEL', stream, unpack(done))
end
for _, each in ipairs(passed) do
  if pass_turn(each[1], each[2]) then failures[1] = failures[1] + 1 end
end
return failures
`,
)

/**
 * Moves the end of leases to `lease` from now. Replies the places of those that are no longer held.
 *
 * KEYS: receivers, leases. ARGV: lease, receiver, hand-overs.
 */
export const EXTEND = new Script(
  'extend',
  `
local receivers, leases = unpack(KEYS)
local members = cmsgpack.unpack(ARGV[3])
local held = redis.call('ZMSCORE', leases, unpack(members))
${NOW}
${ALLOWED_WHEN_FULL}
local lost = {}
for i, member in ipairs(members) do
  if held[i] then redis.call('ZADD', leases, now + ARGV[1], member) else lost[#lost + 1] = i - 1 end
end
redis.call('ZADD', receivers, now + ARGV[1] + 1000, ARGV[2])
return lost
`,
)

/**
 * Lets a receiver go. What it still holds goes back at once, and counts as handed over; what was handed
 * over by a reply that never came goes back as if it had not been.
 *
 * KEYS: stream, leases, receivers. ARGV: receiver, hand-overs, nonces of replies that never came.
 */
export const LEAVE = new Script(
  'leave',
  `
local stream, leases, receivers = unpack(KEYS)
${NOW}
${ALLOWED_WHEN_FULL}
${SINCE}
for _, member in ipairs(cmsgpack.unpack(ARGV[2])) do
  if redis.call('ZREM', leases, member) == 1 then
    local id, deliveries = string.match(member, '^([^/]+)/(%d+)/')
    redis.call('ZADD', leases, since(id), id .. '/' .. deliveries .. '/')
  end
end
local lost = cmsgpack.unpack(ARGV[3])
local mine = #lost > 0 and redis.pcall('XPENDING', stream, '${GROUP}', '-', '+', 5000, ARGV[1]) or {}
for _, each in ipairs(mine) do
  for _, nonce in ipairs(lost) do
    if redis.call('ZREM', leases, each[1] .. '/' .. each[4] .. '/' .. nonce) == 1 then
      redis.call('ZADD', leases, since(each[1]), each[1] .. '/' .. (each[4] - 1) .. '/')
    end
  end
end
-- A consumer takes what is pending with it when it is deleted: then those messages would be lost.
local pending = redis.pcall('XPENDING', stream, '${GROUP}', '-', '+', 1, ARGV[1])
if pending.err then return 0 end
if #pending == 0 then
  redis.call('XGROUP', 'DELCONSUMER', stream, '${GROUP}', ARGV[1])
  redis.call('ZREM', receivers, ARGV[1])
else
  redis.call('ZADD', receivers, 'XX', 0, ARGV[1])
end
return 1
`,
)
