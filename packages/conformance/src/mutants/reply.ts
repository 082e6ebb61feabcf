import type { Replies, Reply, WireMessage } from '@msgloop/core/driver'
import { DriverError, RESERVED_PREFIX } from '@msgloop/core/driver'
import { decorate } from '../decorate.js'
import { copyOf, withVerdict } from './carry-out.js'
import type { Mutant } from './mutant.js'

const replying =
  (make: () => (inner: Replies) => Partial<Replies>): Mutant['make'] =>
  () => {
    const replies = make()
    return (driver) => decorate(driver, { replies })
  }

/** Sends other answers than it was told. */
const answering = (change: (reply: Reply) => readonly Reply[]): Mutant['make'] =>
  replying(() => (inner) => ({
    async send(batch, signal) {
      await inner.send(batch.flatMap(change), signal)
      return []
    },
  }))

const changed = (change: (message: WireMessage) => WireMessage): Mutant['make'] =>
  answering((reply) => [{ ...reply, message: change(reply.message) }])

export const replyMutants: readonly Mutant[] = [
  {
    id: 'reply-lost',
    fault: 'loses one answer in fifty',
    seenIn: 'NATS core: at most once, with a full buffer',
    caughtBy: ['Q2-thousand', 'Q2-many-answers'],
    make() {
      let count = 0
      return answering((reply) => (++count % 50 === 0 ? [] : [reply]))()
    },
  },
  {
    id: 'reply-doubled',
    fault: 'sends each answer twice',
    seenIn: 'RabbitMQ before 4.3.5: direct reply-to duplicates',
    caughtBy: ['Q2-many-answers', 'Q1-once'],
    make: answering((reply) => [reply, reply]),
  },
  {
    id: 'reply-to-last',
    fault: 'has one channel for all: the last that was opened gets every answer',
    seenIn: 'a reply queue shared by processes that compete for it',
    caughtBy: ['Q2-several', 'Q2-channel'],
    make: replying(() => {
      let last = ''
      return (inner) => ({
        async open(options, signal) {
          const channel = await inner.open(options, signal)
          last = channel.address
          return channel
        },
        send: (batch, signal) =>
          inner.send(
            batch.map((reply) => ({ ...reply, address: last })),
            signal,
          ),
      })
    }),
  },
  {
    id: 'reply-cause-lost',
    fault: 'answers without saying to which request',
    seenIn: 'AMQP: correlation_id is all that travels',
    caughtBy: ['Q1-fields', 'Q2-channel'],
    make: changed((message) => ({ ...message, causationId: undefined })),
  },
  {
    id: 'reply-headers-lost',
    fault: 'drops the headers of an answer: a failure looks like a result',
    seenIn: 'NATS: a reply without headers',
    caughtBy: ['Q1-fails', 'Q1-retried', 'Q2-channel'],
    make: changed((message) => ({
      ...message,
      headers: Object.fromEntries(
        Object.entries(message.headers).filter(([name]) => !name.startsWith(RESERVED_PREFIX)),
      ),
    })),
  },
  {
    id: 'reply-type-lost',
    fault: 'drops the content type of an answer',
    seenIn: 'SQS: an attribute that was forgotten',
    caughtBy: ['Q1-bytes', 'Q1-foreign', 'Q2-channel'],
    make: changed((message) => ({ ...message, contentType: undefined })),
  },
  {
    id: 'reply-gone-fails',
    fault: 'fails all answers of a batch when nobody waits for one of them',
    seenIn: 'RabbitMQ 4.2: mandatory publishes to a requester that is gone are returned',
    caughtBy: ['Q2-channel'],
    make: replying(() => {
      const open = new Set<string>()
      return (inner) => ({
        async open(options, signal) {
          const channel = await inner.open(options, signal)
          open.add(channel.address)
          return {
            address: channel.address,
            async close() {
              open.delete(channel.address)
              await channel.close()
            },
          }
        },
        async send(batch, signal) {
          if (batch.some(({ address }) => !open.has(address)))
            throw new DriverError('NOT_FOUND', 'nobody waits there')
          return await inner.send(batch, signal)
        },
      })
    }),
  },
  {
    id: 'reply-channel-dies-silently',
    fault: 'does not tell that its reply channel is gone',
    seenIn: 'direct reply-to: the consumer goes with its channel',
    caughtBy: ['Q1-requester-cut'],
    make: replying(() => (inner) => ({
      open: (options, signal) => inner.open({ ...options, onLost() {} }, signal),
    })),
  },
  {
    id: 'reply-to-lost-on-retry',
    fault: 'forgets where the answer is expected when it retries',
    seenIn: 'a retry queue that copies the properties it knows',
    caughtBy: ['Q1-retried'],
    make: () => (driver) =>
      withVerdict(driver, 'retry', async (work) => {
        const message = { ...copyOf(work), replyTo: undefined }
        await work.send({ message, delayMs: work.verdict.delayMs })
        await work.settle({ kind: 'ack' })
      }),
  },
]
