import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { connect, createServer } from 'node:net'

/** Where something listens. */
export interface Endpoint {
  readonly host: string
  readonly port: number
}

/** A TCP relay between a client and a broker whose connections can be cut, refused or stalled. */
export interface TcpProxy extends Endpoint {
  /** Resets every connection, as a failing network would. New ones are accepted. */
  cut(): void
  /** Cuts, and refuses new connections until `up`. */
  down(): void
  up(): void
  /** Passes no more bytes in either direction, without closing anything, until `flow`. */
  stall(): void
  flow(): void
  close(): Promise<void>
}

const HOST = '127.0.0.1'

export async function tcpProxy(target: Endpoint): Promise<TcpProxy> {
  const sockets = new Set<Socket>()
  let refusing = false
  let stalled = false
  const server = createServer((client) => {
    if (refusing) {
      client.resetAndDestroy()
      return
    }
    const upstream = connect(target)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        client.destroy()
        upstream.destroy()
      })
    }
    client.pipe(upstream)
    upstream.pipe(client)
    if (stalled) for (const socket of [client, upstream]) socket.pause()
  })
  server.listen(0, HOST)
  await once(server, 'listening')
  const cut = (): void => {
    for (const socket of sockets) socket.resetAndDestroy()
  }
  return {
    host: HOST,
    port: (server.address() as AddressInfo).port,
    cut,
    down() {
      refusing = true
      cut()
    },
    up() {
      refusing = false
    },
    stall() {
      stalled = true
      for (const socket of sockets) socket.pause()
    },
    flow() {
      stalled = false
      for (const socket of sockets) socket.resume()
    },
    async close() {
      cut()
      server.close()
      await once(server, 'close')
    },
  }
}
