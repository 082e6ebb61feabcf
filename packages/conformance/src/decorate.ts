import type {
  Admin,
  Destination,
  Driver,
  Receiver,
  ReceiverOptions,
  Replies,
  Sender,
  Source,
} from '@msgloop/core/driver'

/** What a decorated driver does differently. Each gets the original and returns the members it replaces. */
export interface Decoration {
  /** Hears of every attempt to connect or to open, also of those that fail. */
  readonly before?: (call: 'connect' | 'openSender' | 'openReceiver' | 'openReplies') => void
  readonly driver?: (inner: Driver) => Partial<Driver>
  readonly admin?: (inner: Admin) => Partial<Admin>
  readonly replies?: (inner: Replies) => Partial<Replies>
  readonly sender?: (inner: Sender, destination: Destination) => Partial<Sender>
  readonly receiver?: (inner: Receiver, source: Source, options: ReceiverOptions) => Partial<Receiver>
}

/** A driver that does as `inner` does, but for what `decoration` replaces. */
export function decorate(inner: Driver, decoration: Decoration): Driver {
  const replaced = decoration.driver?.(inner) ?? {}
  const { replies } = inner
  const openSender = replaced.openSender ?? inner.openSender.bind(inner)
  const openReceiver = replaced.openReceiver ?? inner.openReceiver.bind(inner)
  return {
    name: inner.name,
    get address() {
      return inner.address
    },
    capabilities: inner.capabilities,
    admin: { ...forwardAdmin(inner.admin), ...decoration.admin?.(inner.admin) },
    ...(replies && {
      replies: {
        open(options, signal) {
          decoration.before?.('openReplies')
          return replies.open(options, signal)
        },
        send: (batch, signal) => replies.send(batch, signal),
        ...decoration.replies?.(replies),
      },
    }),
    connect(signal) {
      decoration.before?.('connect')
      return inner.connect(signal)
    },
    classify: (error) => inner.classify(error),
    native: () => inner.native(),
    close: () => inner.close(),
    ...replaced,
    async openSender(destination, signal) {
      decoration.before?.('openSender')
      const sender = await openSender(destination, signal)
      return { ...forwardSender(sender), ...decoration.sender?.(sender, destination) }
    },
    async openReceiver(source, options, signal) {
      decoration.before?.('openReceiver')
      const receiver = await openReceiver(source, options, signal)
      return { ...forwardReceiver(receiver), ...decoration.receiver?.(receiver, source, options) }
    },
  }
}

function forwardAdmin(inner: Admin): Admin {
  const browse = inner.browse?.bind(inner)
  return {
    declare: (topology, signal) => inner.declare(topology, signal),
    verify: (topology, signal) => inner.verify(topology, signal),
    stats: (source, signal) => inner.stats(source, signal),
    purge: (source, signal) => inner.purge(source, signal),
    delete: (topology, signal) => inner.delete(topology, signal),
    ...(browse && { browse }),
  }
}

function forwardSender(inner: Sender): Sender {
  return {
    send: (batch, signal) => inner.send(batch, signal),
    close: () => inner.close(),
  }
}

function forwardReceiver(inner: Receiver): Receiver {
  const extend = inner.extend?.bind(inner)
  return {
    receive: (max, waitMs, signal) => inner.receive(max, waitMs, signal),
    settle: (batch, signal) => inner.settle(batch, signal),
    stop: () => inner.stop(),
    close: () => inner.close(),
    ...(extend && { extend }),
  }
}

/** Holds back every send until `open` resolves; `onSend` hears how many messages of which size were handed over. */
export function holdSends(
  driver: Driver,
  open: Promise<void>,
  onSend: (count: number, bytes: number) => void = () => {},
): Driver {
  return decorate(driver, {
    sender: (inner) => ({
      async send(batch, signal) {
        onSend(
          batch.length,
          batch.reduce((sum, { message }) => sum + message.body.byteLength, 0),
        )
        await open
        return await inner.send(batch, signal)
      },
    }),
  })
}
