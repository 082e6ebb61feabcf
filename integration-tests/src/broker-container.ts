import { once } from 'node:events'
import { createServer } from 'node:net'
import { GenericContainer, getContainerRuntimeClient, Wait } from 'testcontainers'
import type { Endpoint } from './tcp-proxy.js'

const STARTUP_MS = 120_000

export interface ContainerOptions {
  readonly image: string
  /** The broker's port in the container. */
  readonly port: number
  /** A line of the log that says it is up. */
  readonly ready: RegExp
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  /** Rejects while the broker does not answer; is asked until it resolves. */
  readonly probe: (endpoint: Endpoint) => Promise<void>
}

/** A real broker in a container of its own, on a port that stays the same through restarts. */
export interface BrokerContainer extends Endpoint {
  /** SIGKILL, and start again; resolves when it answers. */
  killAndStart(): Promise<void>
  kill(): Promise<void>
  start(): Promise<void>
  /** Freezes every process of the container, as SIGSTOP does. */
  pause(): Promise<void>
  unpause(): Promise<void>
  /** Runs a command in the container. @throws when it fails, with its output */
  exec(...command: string[]): Promise<string>
  stop(): Promise<void>
}

export async function startContainer(options: ContainerOptions): Promise<BrokerContainer> {
  const port = await freePort()
  const container = await new GenericContainer(options.image)
    .withExposedPorts({ container: options.port, host: port })
    .withEnvironment({ ...options.environment })
    .withCommand([...(options.command ?? [])])
    .withWaitStrategy(Wait.forLogMessage(options.ready))
    .withStartupTimeout(STARTUP_MS)
    .start()
  const endpoint: Endpoint = { host: container.getHost(), port }
  const client = await getContainerRuntimeClient()
  const native = client.container.getById(container.getId())
  const start = async (): Promise<void> => {
    await native.start()
    await answers(() => options.probe(endpoint))
  }
  const kill = async (): Promise<void> => {
    await native.kill({ signal: 'SIGKILL' })
    await native.wait()
  }
  await answers(() => options.probe(endpoint))
  return {
    ...endpoint,
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
    async exec(...command) {
      const { exitCode, output } = await container.exec(command)
      if (exitCode !== 0) throw new Error(`${command.join(' ')} failed: ${output}`)
      return output
    },
    async stop() {
      await container.stop()
    },
  }
}

async function answers(probe: () => Promise<void>): Promise<void> {
  const deadline = Date.now() + STARTUP_MS
  for (;;) {
    try {
      return await probe()
    } catch (error) {
      if (Date.now() > deadline) throw error
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
}

/** Below the ports that outgoing connections are given, any of which may be taken while a broker restarts. */
const PORTS = { first: 20_000, count: 10_000 }

/** A port nobody uses now: restarts must find the broker where it was, so Docker may not choose. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count)
    const server = createServer()
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false))
      server.listen(port, () => resolve(true))
    })
    if (!free) continue
    server.close()
    await once(server, 'close')
    return port
  }
}
