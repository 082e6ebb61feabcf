import { connect } from '@nats-io/transport-node'
import type { BrokerContainer } from './broker-container.js'
import { startContainer } from './broker-container.js'
import type { Endpoint } from './tcp-proxy.js'

/** The versions conformance is run on: the newest there is an image for, the one of the last stable Debian, and the oldest. */
export const NATS_IMAGES = ['nats:2.15', 'nats:2.10', 'nats:2.9'] as const
export type NatsImage = (typeof NATS_IMAGES)[number]

export interface NatsServer extends BrokerContainer {
  /** As the server itself says. */
  readonly version: string
  /** The host of the server is not always the one a proxy listens on, so a proxy is given whole. */
  url(through?: Endpoint, query?: string): string
}

export interface NatsServerOptions {
  /** Default true. */
  readonly jetStream?: boolean
  /** Then only this user may connect, and may do everything. */
  readonly user?: { readonly name: string; readonly password: string }
}

export async function startNats(
  image: NatsImage,
  extraArgs: readonly string[] = [],
  { jetStream = true, user }: NatsServerOptions = {},
): Promise<NatsServer> {
  const login = user ? `${encodeURIComponent(user.name)}:${encodeURIComponent(user.password)}@` : ''
  let version = ''
  const container = await startContainer({
    image,
    port: 4222,
    ready: /Server is ready/,
    command: [
      ...(jetStream ? ['-js', '-sd', '/data'] : ['-a', '0.0.0.0']),
      ...(user ? ['--user', user.name, '--pass', user.password] : []),
      ...extraArgs,
    ],
    async probe({ host, port }) {
      const nc = await connect({
        servers: `${host}:${port}`,
        reconnect: false,
        timeout: 5_000,
        ...(user && { user: user.name, pass: user.password }),
      })
      version = nc.info?.version ?? ''
      await nc.close()
    },
  })
  return {
    ...container,
    version,
    url: ({ host, port } = container, query = '') => `nats://${login}${host}:${port}${query}`,
  }
}
