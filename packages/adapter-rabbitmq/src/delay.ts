/** What this adapter makes for itself is named so. */
export const OWN_PREFIX = 'msgloop.v1.'

/**
 * Delays without plugins or timers: level L is a queue whose messages all expire after 2^L steps and
 * then go one level down. A delay is a sum of powers of two, written as bits into the routing key, so
 * each message visits the queues of its 1-bits, at most once each, and then its destination. One TTL
 * per queue means nothing waits behind a longer delay.
 *
 * The declarations cannot change once they exist on a broker: another layout needs another version here.
 */
export const STEP_MS = 100
/** 2^29 - 1 steps are 621 days; one level fewer would not reach a year. */
export const LEVELS = 29
export const LONGEST_DELAY_MS = 366 * 86_400_000

/** Topic exchange every delayed message leaves through; each queue is bound to it. */
export const DELIVERY = `${OWN_PREFIX}delivery`
/** Exchange and queue that keep delayed messages whose queue was deleted meanwhile. */
export const UNROUTED = `${OWN_PREFIX}unrouted`

/** Exchange and queue of a level. */
export const levelName = (level: number): string => `${OWN_PREFIX}delay-${String(level).padStart(2, '0')}`

export const isLevel = (queue: unknown): boolean =>
  typeof queue === 'string' && queue.startsWith(`${OWN_PREFIX}delay-`)

export const levelTtlMs = (level: number): number => STEP_MS * 2 ** level

/** Where the messages of a level go next. */
export const below = (level: number): string => (level === 0 ? DELIVERY : levelName(level - 1))

/** Steps that wait at least `delayMs`. */
export const stepsOf = (delayMs: number): number => Math.min(Math.ceil(delayMs / STEP_MS), 2 ** LEVELS - 1)

/** The first level a delay has to wait in; that of its highest bit. */
export const entryLevel = (steps: number): number => 31 - Math.clz32(steps)

/** `0.….1.0.1.<destination>`: one word per bit, highest first. */
export function delayKey(steps: number, queue: string): string {
  let key = ''
  for (let level = LEVELS - 1; level >= 0; level--) key += (steps >> level) & 1 ? '1.' : '0.'
  return key + word(queue)
}

/** Binds a level's exchange to its queue (`bit` 1) or to the level below (`bit` 0). */
export const levelPattern = (level: number, bit: 0 | 1): string =>
  `${'*.'.repeat(LEVELS - 1 - level)}${bit}.#`

/** Binds a queue to `DELIVERY`. Exactly its own word: `#.b` would also catch what is for `a.b`. */
export const deliveryPattern = (queue: string): string => `${'*.'.repeat(LEVELS)}${word(queue)}`

/** A queue name as one word: a dot parts words, so it travels as `/`, which names of msgloop cannot have. */
const word = (queue: string): string =>
  queue.replace(/[%/*#]/g, (c) => `%${c.charCodeAt(0).toString(16)}`).replaceAll('.', '/')
