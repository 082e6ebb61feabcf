import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { connect } from 'amqplib'
import { GenericContainer, getContainerRuntimeClient, Wait } from 'testcontainers'
import type { Endpoint } from './tcp-proxy.js'

/** The versions conformance is run on: the newest and the oldest there are images for. */
export const RABBITMQ_IMAGES = ['rabbitmq:4-management', 'rabbitmq:3.10-management'] as const
export type RabbitmqImage = (typeof RABBITMQ_IMAGES)[number]

/** A real RabbitMQ in a container of its own, on a port that stays the same through restarts. */
export interface RabbitmqServer extends Endpoint {
  /** As the server itself says. */
  readonly version: string
  /** The host of the server is not always the one a proxy listens on, so a proxy is given whole. */
  url(through?: Endpoint, query?: string): string
  /** SIGKILL, and start again; resolves when it answers. */
  killAndStart(): Promise<void>
  kill(): Promise<void>
  start(): Promise<void>
  /** Freezes every process of the container, as SIGSTOP does. */
  pause(): Promise<void>
  unpause(): Promise<void>
  rabbitmqctl(...args: string[]): Promise<string>
  stop(): Promise<void>
}

const STARTUP_MS = 120_000

export async function startRabbitmq(image: RabbitmqImage): Promise<RabbitmqServer> {
  const port = await freePort()
  const container = await new GenericContainer(image)
    .withExposedPorts({ container: 5672, host: port })
    .withWaitStrategy(Wait.forLogMessage(/Server startup complete/))
    .withStartupTimeout(STARTUP_MS)
    .start()
  const host = container.getHost()
  const client = await getContainerRuntimeClient()
  const native = client.container.getById(container.getId())
  const url = (through: Endpoint = { host, port }, query = ''): string =>
    `amqp://guest:guest@${through.host}:${through.port}/${query}`
  const start = async (): Promise<void> => {
    await native.start()
    await answers(url())
  }
  const kill = async (): Promise<void> => {
    await native.kill({ signal: 'SIGKILL' })
    await native.wait()
  }
  return {
    host,
    port,
    version: await answers(url()),
    url,
    start,
    kill,
    async killAndStart() {
      await kill()
      await start()
    },
    async pause() {
      await native.pause()
    },
    async unpause() {
      await native.unpause()
    },
    async rabbitmqctl(...args) {
      const { exitCode, output } = await container.exec(['rabbitmqctl', '--quiet', ...args])
      if (exitCode !== 0) throw new Error(`rabbitmqctl ${args.join(' ')} failed: ${output}`)
      return output
    },
    async stop() {
      await container.stop()
    },
  }
}

/** Resolves with the version once a connection can be made. */
async function answers(url: string): Promise<string> {
  const deadline = Date.now() + STARTUP_MS
  for (;;) {
    try {
      const connection = await connect(url, { timeout: 5_000 })
      const { version } = connection.connection.serverProperties
      await connection.close()
      return version
    } catch (error) {
      if (Date.now() > deadline) throw error
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
}

/** A port nobody uses now: restarts must find the broker where it was, so Docker may not choose. */
async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
