import { NOW, Script } from './script.js'

/**
 * Stores a batch. Replies 0 when the queue does not exist.
 *
 * KEYS: stream, settings, delayed, ids. ARGV: batch as `Runs` makes it, or one run of a message whose fields
 * include id and body; window of duplicates in place of the queue's own, or ''; id for that in place of the
 * messages' own, or ''.
 *
 * The first write is one that the server refuses when memory is full; then none was made.
 */
export const SEND = new Script(
  'send',
  `
local stream, settings, delayed, ids = unpack(KEYS)
local declared = redis.call('HMGET', settings, 'dedupWindowMs', 'retentionMs')
if not declared[1] then return 0 end
local window = tonumber(ARGV[2]) or tonumber(declared[1])
local own = ARGV[3] ~= '' and ARGV[3]
${NOW}
local sent
for _, run in ipairs(cmsgpack.unpack(ARGV[1])) do
  local delay, fields, values = run[1], run[2], run[3]
  for n = 1, math.max(1, #values), 2 do
    local id, body = values[n], values[n + 1]
    local seen = window > 0 and redis.call('ZSCORE', ids, own or id)
    if not seen or tonumber(seen) <= now then
      if delay > 0 then
        -- One millisecond more: this one has begun already. The number keeps the order of equal times.
        local counter = string.format('%016x', redis.call('HINCRBY', settings, 'sent', 1))
        local member = cmsgpack.pack(counter, { 'id', id, 'body', body, unpack(fields) })
        redis.call('ZADD', delayed, now + 1 + delay, member)
      elseif id then
        redis.call('XADD', stream, '*', 'id', id, 'body', body, unpack(fields))
      else
        redis.call('XADD', stream, '*', unpack(fields))
      end
      if window > 0 then redis.call('ZADD', ids, now + window, own or id) end
      sent = true
    end
  end
end
if sent and window > 0 then redis.call('ZREMRANGEBYSCORE', ids, '-inf', now) end
if sent and declared[2] then
  redis.call('XTRIM', stream, 'MINID', string.format('%.0f', now - declared[2]))
end
return 1
`,
)
