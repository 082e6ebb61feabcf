import { type Drift, DriverError, type Source } from '@msgloop/core/driver'
import { LONGEST_RETENTION_MS } from './delay.js'
import { type Fifo, fifoOf } from './fifo.js'
import { topicOf } from './queue-policy.js'

export type Attributes = Readonly<Record<string, string>>

/** The window is per group wherever that makes no difference: that way SQS has no limit on the rate. */
const FAST: Attributes = { DeduplicationScope: 'messageGroup', FifoThroughputLimit: 'perMessageGroupId' }
/** The same id may come with another key. */
const WHOLE: Attributes = { DeduplicationScope: 'queue', FifoThroughputLimit: 'perQueue' }

/**
 * Whether a queue is ordered by key must be known to whoever moves a message into it by name. All messages of ours
 * have a deduplication id, so this attribute is free to tell: it says that foreign ones need none.
 */
const KEYED_MARK = 'ContentBasedDeduplication'

function fifoAttributes({ keyed, unique }: Fifo): Attributes {
  return { FifoQueue: 'true', [KEYED_MARK]: String(keyed), ...(keyed && unique ? WHOLE : FAST) }
}

/** What a FIFO queue says of itself. Copies are all that is ever stored by this, so `unique` says nothing. */
export function fifoOfAttributes({ [KEYED_MARK]: keyed }: Attributes): Fifo {
  return { keyed: keyed === 'true', unique: false }
}

/** Other queues and topics that a queue knows of. */
export interface Neighbours {
  /** Of a queue that has dead letters. */
  readonly deadLetterArn?: string | undefined
  /** What lets its topic in, of a subscription. */
  readonly policy?: string | undefined
}

/**
 * Attributes of a queue. The lease is none of them: it is asked for
 * at each receipt.
 */
export function queueAttributes(spec: Source, { deadLetterArn, policy }: Neighbours = {}): Attributes {
  const fifo = fifoOf(spec)
  return {
    MessageRetentionPeriod: String(retentionSeconds(spec)),
    ...(fifo && fifoAttributes(fifo)),
    ...(policy !== undefined && { Policy: policy }),
    ...(deadLetterArn !== undefined && {
      RedrivePolicy: JSON.stringify({
        deadLetterTargetArn: deadLetterArn,
        maxReceiveCount: spec.deliveryLimit,
      }),
    }),
  }
}

/**
 * What SQS moves by itself keeps its age, and would be deleted at once in a dead-letter queue that keeps messages
 * for less than its source: both keep them for the longest there is, unless a source is to keep them for less.
 */
function retentionSeconds({ role, retentionMs }: Source): number {
  const longest = LONGEST_RETENTION_MS / 1_000
  if (role === 'dead-letter' || retentionMs === undefined) return longest
  return Math.min(longest, Math.max(60, Math.ceil(retentionMs / 1_000)))
}

const UNSET = 'none'
/** Each send says how long it waits; what says nothing, as a move and a foreign client, must not wait. */
const NO_DELAY = '0'
/** SQS's own default of many years: a queue made for less refuses what every other takes. */
const LEAST_MESSAGE_BYTES = 262_144

/** How a queue differs from its attributes. What a broker does not tell of itself is not compared. */
export function compare(spec: Source, wanted: Attributes, found: Attributes): readonly Drift[] {
  const object = `queue "${spec.name}"`
  const drifts: Drift[] = []
  const check = (field: string, expected: string, actual: string): void => {
    if (expected !== actual) drifts.push({ object, field, expected, actual })
  }
  check('DelaySeconds', NO_DELAY, found.DelaySeconds ?? NO_DELAY)
  const { MaximumMessageSize: most } = found
  if (most !== undefined && Number(most) < LEAST_MESSAGE_BYTES)
    check('MaximumMessageSize', `at least ${LEAST_MESSAGE_BYTES}`, most)
  // SQS would move on by itself what is only looked at, and its record with it.
  if (wanted.RedrivePolicy === undefined)
    check('RedrivePolicy.deadLetterTargetArn', UNSET, policyOf(found.RedrivePolicy).target)
  for (const field in wanted) {
    const expected = wanted[field] ?? UNSET
    const actual = found[field]
    if (field === 'Policy') check('topic', topicOf(expected) ?? UNSET, topicOf(actual) ?? UNSET)
    else if (field !== 'RedrivePolicy') check(field, expected, actual ?? expected)
    else {
      const [want, have] = [policyOf(expected), policyOf(actual)]
      check('RedrivePolicy.deadLetterTargetArn', want.target, have.target)
      check('RedrivePolicy.maxReceiveCount', want.count, have.count)
    }
  }
  return drifts
}

function policyOf(json: string | undefined): { target: string; count: string } {
  try {
    const policy: unknown = JSON.parse(json ?? '')
    if (typeof policy === 'object' && policy !== null)
      return {
        target: String(Reflect.get(policy, 'deadLetterTargetArn') ?? UNSET),
        count: String(Reflect.get(policy, 'maxReceiveCount') ?? UNSET),
      }
  } catch {
    // Not set, or not as SQS writes it.
  }
  return { target: UNSET, count: UNSET }
}

export function driftError({ kind, name }: Source, drifts: readonly Drift[], cause?: unknown): DriverError {
  const fields = drifts.map(({ field, expected, actual }) => `${field} is ${actual}, wanted ${expected}`)
  const message =
    `${kind} "${name}" exists with other settings${fields.length > 0 ? `: ${fields.join('; ')}` : ''}; ` +
    `connect with topology: 'verify' or 'none' to adopt it as it is`
  return new DriverError('DRIFT', message, { outcome: 'rejected', cause })
}
