import { KIB, MEMORY, MIB, type Profile, profile, UNLIMITED } from './capabilities.js'

/** Brokers whose limits and abilities the memory broker can take over. */
export type Emulated = 'rabbitmq' | 'sqs' | 'nats' | 'redis-streams'

const { capabilities: memory } = MEMORY

/** Room for our own headers beside the user's: a history of 8 KiB, a dead-letter record with a stack of 4 KiB, fields. */
const BOOK_ROOM = 32 * KIB

/**
 * Each broker's numbers, with the section of `research/brokers.md` they come from. What is not
 * listed is as in memory: the broker has no limit of the kind, or only the adapter's choice.
 * Lingers are adapters' choices too, and would only slow an emulation down.
 */
const PROFILES: Readonly<Record<Emulated, Profile>> = {
  rabbitmq: profile({
    ...memory,
    limits: {
      ...memory.limits,
      bodyBytes: 16 * MIB, // §1.1m: max_message_size of 4.x
      headerCount: 64, // as adapter-rabbitmq declares
      headerBytes: 16 * KIB, // §1.1m: amqplib encodes all headers into 64 KiB; this much is left to users
      delayResolutionMs: 100, // §1.2: the step of the levels; W1 begins at 100 ms
      leaseMs: 29 * 60_000, // §1.1b: consumer_timeout of 30 min closes the channel; one minute is kept clear
      sendBatch: 512, // §1.1o: 100 to 1000 confirms outstanding
      sendBatchBytes: 16 * MIB, // as adapter-rabbitmq declares
      receiveBatch: 256, // §1.1a: prefetch of 100 to 300
      settleBatch: 512, // as adapter-rabbitmq declares
    },
    lease: 'connection', // §1.1b
    retry: 'copy', // §1.4
    order: 'process', // §1.4: what is retried goes through another queue, to the end of its own
    releaseCounts: true, // §1.1c: basic.nack counts, in every version
    dedupWindowMs: 0, // §1.1h
    browse: 'lease', // semantics.md D5
    purgesDelayed: false, // §1.2: delayed messages are in queues shared by all
    stats: ['ready', 'consumers'], // §1.1n
  }),
  sqs: profile(
    {
      ...memory,
      limits: {
        ...memory.limits,
        bodyBytes: 672 * KIB, // as adapter-sqs declares: base64, and 128 KiB for attributes, in 1 MiB
        headerCount: 64, // as adapter-sqs declares: all of them in one attribute
        headerBytes: 8 * KIB, // semantics.md M2: what every broker carries
        delayResolutionMs: 1_000, // §2.1e. DelaySeconds ends at 900; longer delays hop (§2.2)
        leaseMs: 12 * 3_600_000, // §2.1b: in all, from the receive
        sendBatch: 10, // §2.1m
        sendBatchBytes: 672 * KIB, // §2.1m: the batch shares 1 MiB too
        receiveBatch: 10, // §2.1a
        settleBatch: 10, // §2.1o
      },
      retry: 'in-place', // §2.1d
      releaseCounts: true, // §2.1c: every receive counts
      dedupWindowMs: 300_000, // §2.1h: FIFO queues
      browse: 'lease', // semantics.md D5
      purgesDelayed: false, // as adapter-sqs: PurgeQueue may be had once a minute, so it takes what it can receive
      stats: ['ready'], // §2.1n: what is not visible is in flight or waits
    },
    1_000, // §2.1b: visibility is in whole seconds
  ),
  nats: profile({
    ...memory,
    limits: {
      ...memory.limits,
      bodyBytes: MIB - 64 * KIB, // §3.1m: max_payload includes headers, which end at 65 535 bytes
      headerBytes: 64 * KIB - 1 - BOOK_ROOM, // §3.1m; ours go there too
      delayResolutionMs: 250, // §3.1e: schedules
      leaseMs: UNLIMITED, // §3.1b: working() has no cap
      receiveBatch: 1_000, // §3.1d: max_ack_pending
    },
    retry: 'in-place', // §3.1d
    releaseCounts: true, // §5.9
    dedupWindowMs: 120_000, // §3.1h: duplicate_window
    stats: ['ready', 'oldestAgeMs'], // §3.1n: num_ack_pending mixes in flight with delayed
  }),
  'redis-streams': profile({
    ...memory,
    limits: {
      ...memory.limits,
      bodyBytes: 4 * MIB, // as adapter-redis-streams declares: the server stands still while it copies
      delayResolutionMs: 1, // as adapter-redis-streams declares
      sendBatch: 500, // as adapter-redis-streams declares
      sendBatchBytes: 4 * MIB, // as adapter-redis-streams declares
      receiveBatch: 256, // §4.1o: COUNT
      settleBatch: 500, // §4.1o
    },
    retry: 'copy', // §4.1d: moved to the sorted set and added again
    releaseCounts: false, // a script gives back uncounted
    stats: ['ready', 'inFlight', 'delayed', 'oldestAgeMs', 'consumers'],
  }),
}

export const EMULATED: readonly string[] = Object.keys(PROFILES)

export function isEmulated(name: string): name is Emulated {
  return EMULATED.includes(name)
}

export function profileOf(emulate: Emulated | undefined): Profile {
  return emulate === undefined ? MEMORY : PROFILES[emulate]
}
