import { createHash } from 'node:crypto'

/** A Lua script of the server: it runs whole, or not at all, and nothing else runs meanwhile. */
export class Script {
  readonly name: string
  readonly source: string
  readonly sha: string

  constructor(name: string, source: string) {
    this.name = name
    this.source = source.trim()
    this.sha = createHash('sha1').update(this.source).digest('hex')
  }
}

/** `now` in whole ms of the server's clock: the only clock that delays and leases are measured with. */
export const NOW = `
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
`

/**
 * When memory is full the server refuses a script whose first write would take more of it, and none
 * that wrote before. Who takes or settles must not be refused, as that is what makes room: so the
 * first write of those is one that takes none.
 */
export const ALLOWED_WHEN_FULL = `redis.call('ZREM', KEYS[2], '')`

/** Entries read at once, as nothing tells before how large they are. */
export const CHUNK = 16
/** A reply may hold some more than this, by the last entries read. */
export const MOST_BYTES = 8 * 1_024 * 1_024
/**
 * Replies `parts`: packed, or as they are where bodies are large, as each copy of those costs more than
 * packing saves. Uses `bytes` of `taken` entries.
 */
export const REPLY = `
if bytes > taken * 16384 then return parts end
return cmsgpack.pack(parts)
`

/** Most delayed messages that are made ready in one go. */
const MOST_DUE = 256

/**
 * When an entry was added, in ms with its place in that millisecond: due at once, and in order. Not later
 * than now, as it may be where the clock was set back. Uses `now`.
 */
export const SINCE = `
local function since(id)
  local ms, n = string.match(id, '(%d+)-(%d+)')
  return math.min(now, ms + math.min(n, 4095) / 4096)
end
`

/**
 * Makes ready what is due, in the order of when it is. Uses `now`, `stream` and `delayed`, and where `keyed` what
 * `TURNS` defines.
 */
export const PROMOTE = `
do
  local promoted, bytes = 0, 0
  while promoted < ${MOST_DUE} and bytes < ${MOST_BYTES} do
    local due = redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, ${CHUNK})
    if #due == 0 then break end
    for _, member in ipairs(due) do
      local counter, fields = cmsgpack.unpack(member)
      local id = redis.call('XADD', stream, '*', unpack(fields))
      local key = keyed and key_of(fields)
      if key then keep_turn(key, counter, id) end
      bytes = bytes + #member
    end
    redis.call('ZREM', delayed, unpack(due))
    promoted = promoted + #due
  end
end
`
