import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { Socket } from 'node:net'
import { untilAborted } from '@msgloop/core/driver'
import { type ConnectionOptions, connect, type NatsConnection } from '@nats-io/transport-node'

/** Where Node.js tells of each client socket that is made. */
const SOCKETS = 'net.client.socket'
const dialing = new AsyncLocalStorage<Set<Socket>>()
let dials = 0

function note(message: unknown): void {
  if (typeof message !== 'object' || message === null || !('socket' in message)) return
  if (message.socket instanceof Socket) dialing.getStore()?.add(message.socket)
}

export interface Dialled {
  readonly nc: NatsConnection
  /** Ends the connection though the peer is gone, and answers nothing. */
  readonly destroy: () => void
}

/**
 * One attempt to connect, which `signal` ends. The library cannot end one, leaves the socket open where the
 * peer accepts and then is silent, and waits for a last write before it gives up a peer that is gone. So the
 * sockets it makes are noted, and destroyed here.
 */
export async function dial(options: ConnectionOptions, signal: AbortSignal): Promise<Dialled> {
  const sockets = new Set<Socket>()
  const destroy = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  subscribe(SOCKETS, note)
  dials++
  try {
    const connecting = dialing.run(sockets, () => connect(options))
    const nc = await untilAborted(connecting, signal, (late) => void late.close())
    return { nc, destroy }
  } catch (error) {
    destroy()
    throw error
  } finally {
    unsubscribe(SOCKETS, note)
    // As long as it is enabled, each promise of the process costs more.
    if (--dials === 0) dialing.disable()
  }
}
