import { NOW, Script } from './script.js'

/**
 * Stores a batch. Replies 0 when the queue does not exist.
 *
 * KEYS: stream, settings, delayed, ids. ARGV: batch of { delay, id, fields }; window of duplicates in
 * place of the queue's own, or ''.
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
${NOW}
local sent
for _, item in ipairs(cmsgpack.unpack(ARGV[1])) do
  local delay, id, fields = item[1], item[2], item[3]
  local seen = window > 0 and redis.call('ZSCORE', ids, id)
  if not seen or tonumber(seen) <= now then
    if delay > 0 then
      -- One millisecond more: this one has begun already. The number keeps the order of equal times.
      local n = redis.call('HINCRBY', settings, 'sent', 1)
      redis.call('ZADD', delayed, now + 1 + delay, cmsgpack.pack(string.format('%016x', n), fields))
    else
      redis.call('XADD', stream, '*', unpack(fields))
    end
    if window > 0 then redis.call('ZADD', ids, now + window, id) end
    sent = true
  end
end
if sent and window > 0 then redis.call('ZREMRANGEBYSCORE', ids, '-inf', now) end
if sent and declared[2] then
  redis.call('XTRIM', stream, 'MINID', string.format('%.0f', now - declared[2]))
end
return 1
`,
)
