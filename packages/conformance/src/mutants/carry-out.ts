import type {
  Destination,
  Driver,
  Failure,
  Outgoing,
  Settlement,
  Source,
  TopicSpec,
  Verdict,
  WireMessage,
} from '@msgloop/core/driver'
import { RESERVED_PREFIX } from '@msgloop/core/driver'
import { decorate } from '../decorate.js'

export type Of<K extends Verdict['kind']> = Extract<Verdict, { kind: K }>

/** What a broken settlement works with. */
export interface Work<K extends Verdict['kind']> {
  readonly verdict: Of<K>
  readonly message: WireMessage
  readonly source: Source
  /** Hands the delivery to the real driver with this verdict. */
  readonly settle: (verdict: Verdict) => Promise<void>
  /** Sends to a queue, by default the one the message came from, or to a topic. */
  readonly send: (outgoing: Outgoing, to?: string | TopicSpec) => Promise<void>
}

/** A driver that carries out verdicts of one kind as `carryOut` does, and the others as before. */
export function withVerdict<K extends Verdict['kind']>(
  driver: Driver,
  kind: K,
  carryOut: (work: Work<K>) => Promise<void>,
): Driver {
  return decorate(driver, {
    receiver: (inner, source) => {
      const messages = new Map<unknown, WireMessage>()
      const one = async (
        { token, verdict }: Settlement,
        signal: AbortSignal | undefined,
      ): Promise<readonly Failure[]> => {
        const message = messages.get(token)
        if (!message || !isOf(verdict, kind)) return await inner.settle([{ token, verdict }], signal)
        try {
          await carryOut({
            verdict,
            message,
            source,
            settle: async (other) => throwFirst(await inner.settle([{ token, verdict: other }], signal)),
            send: (outgoing, to = source.name) =>
              sendTo(driver, typeof to === 'string' ? { ...source, kind: 'queue', name: to } : to, outgoing),
          })
          return []
        } catch (error) {
          return [{ index: 0, error }]
        }
      }
      return {
        async receive(max, waitMs, signal) {
          const deliveries = await inner.receive(max, waitMs, signal)
          for (const { token, message } of deliveries) messages.set(token, message)
          return deliveries
        },
        async settle(batch, signal) {
          const outcomes = await Promise.all(batch.map((settlement) => one(settlement, signal)))
          return outcomes.flatMap((failures, index) => failures.map(({ error }) => ({ index, error })))
        },
      }
    },
  })
}

/** The copy that a retry or a move should make. */
export function copyOf({
  message,
  verdict,
}: {
  message: WireMessage
  verdict: Of<'retry'> | Of<'move'>
}): WireMessage {
  const user = Object.entries(message.headers).filter(([name]) => !name.startsWith(RESERVED_PREFIX))
  const copy = { ...message, headers: { ...Object.fromEntries(user), ...verdict.headers } }
  return verdict.kind === 'move' ? { ...copy, expiresAt: undefined } : copy
}

async function sendTo(driver: Driver, spec: Destination, outgoing: Outgoing): Promise<void> {
  const { signal } = new AbortController()
  const sender = await driver.openSender(spec, signal)
  try {
    throwFirst(await sender.send([outgoing], signal))
  } finally {
    await sender.close()
  }
}

function throwFirst([first]: readonly Failure[]): void {
  if (first) throw first.error
}

function isOf<K extends Verdict['kind']>(verdict: Verdict, kind: K): verdict is Of<K> {
  return verdict.kind === kind
}
