import { connect } from 'amqplib'
import type { BrokerContainer } from './broker-container.js'
import { startContainer } from './broker-container.js'
import type { Endpoint } from './tcp-proxy.js'

/** Newest first. */
export const RABBITMQ_IMAGES = [
  'rabbitmq:4.3-management',
  'rabbitmq:4-management',
  'rabbitmq:3.10-management',
] as const
export type RabbitmqImage = (typeof RABBITMQ_IMAGES)[number]

/** For what takes long. */
export const NEWEST_AND_OLDEST = ['rabbitmq:4.3-management', 'rabbitmq:3.10-management'] as const

export interface RabbitmqServer extends BrokerContainer {
  /** As the server itself says. */
  readonly version: string
  /** The host of the server is not always the one a proxy listens on, so a proxy is given whole. */
  url(through?: Endpoint, query?: string): string
  rabbitmqctl(...args: string[]): Promise<string>
}

export async function startRabbitmq(image: RabbitmqImage): Promise<RabbitmqServer> {
  const url = ({ host, port }: Endpoint, query = ''): string => `amqp://guest:guest@${host}:${port}/${query}`
  let version = ''
  const container = await startContainer({
    image,
    port: 5672,
    ready: /Server startup complete/,
    async probe(endpoint) {
      const connection = await connect(url(endpoint), { timeout: 5_000 })
      version = connection.connection.serverProperties.version
      await connection.close()
    },
  })
  return {
    ...container,
    version,
    url: (through = container, query) => url(through, query),
    rabbitmqctl: (...args) => container.exec('rabbitmqctl', '--quiet', ...args),
  }
}
