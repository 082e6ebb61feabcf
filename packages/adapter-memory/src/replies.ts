import type { DriverError, Replies } from '@msgloop/core/driver'
import type { Connection, Link } from './connection.js'
import { keep } from './stored-message.js'

/** Answers go straight to whoever waits: they are in no queue, and end with the connection. */
export function memoryReplies(connection: Connection): Replies {
  const { broker } = connection
  return {
    async open({ onReply, onLost }, signal) {
      connection.check(signal)
      const address = broker.openChannel(onReply)
      const end = (): boolean => {
        connection.links.delete(link)
        return broker.closeChannel(address)
      }
      const link: Link = {
        cut(error: DriverError) {
          if (end()) onLost(error)
        },
      }
      connection.links.add(link)
      return {
        address,
        async close() {
          end()
        },
      }
    },
    async send(batch, signal) {
      connection.check(signal)
      // As over a wire: what was sent arrives later, and is the receiver's own.
      const answers = batch.map(({ address, message }) => ({ address, message: keep(message) }))
      setImmediate(() => {
        for (const { address, message } of answers) broker.answer(address, message)
      })
      return []
    },
  }
}
