import { ListQueuesCommand, SQSClient } from '@aws-sdk/client-sqs'
import type { BrokerContainer } from './broker-container.js'
import { startContainer } from './broker-container.js'
import type { Endpoint } from './tcp-proxy.js'

/** Emulators take any, and the SDK wants some. */
const CREDENTIALS = { accessKeyId: 'emulator', secretAccessKey: 'any' } as const
const PROBE_MS = 3_000

/** An emulator of SQS, whichever. */
export interface SqsServer extends BrokerContainer {
  readonly version: string
  /** What must follow `sqs+http://host:port`, for what else it emulates. */
  query(through?: Endpoint): string
  /** The host of the server is not always the one a proxy listens on, so a proxy is given whole. */
  url(through?: Endpoint, rest?: string): string
  /** A client of the SDK alone. Whoever asks for it destroys it. */
  client(through?: Endpoint): SQSClient
}

export interface SqsServerOptions {
  readonly image: string
  readonly port: number
  readonly ready: RegExp
  readonly command?: readonly string[]
  readonly version: (container: BrokerContainer) => Promise<string>
  /** Whether it emulates SNS too. */
  readonly sns?: boolean
}

export function rawConfig({ host, port }: Endpoint) {
  return { region: 'us-east-1', endpoint: `http://${host}:${port}`, credentials: CREDENTIALS }
}

export async function startSqsServer(options: SqsServerOptions): Promise<SqsServer> {
  const client = (endpoint: Endpoint): SQSClient =>
    new SQSClient({ ...rawConfig(endpoint), useQueueUrlAsEndpoint: false })
  const { version, sns = false, ...rest } = options
  const container = await startContainer({
    ...rest,
    async probe(endpoint) {
      const probe = client(endpoint)
      try {
        // The SDK has no timeout of its own, and a connection made while the server starts may never be answered.
        await probe.send(new ListQueuesCommand({ MaxResults: 1 }), {
          abortSignal: AbortSignal.timeout(PROBE_MS),
        })
      } finally {
        probe.destroy()
      }
    },
  })
  const { accessKeyId, secretAccessKey } = CREDENTIALS
  const query = ({ host, port }: Endpoint = container): string => (sns ? `?sns=http://${host}:${port}` : '')
  return {
    ...container,
    version: await version(container),
    query,
    url: (through = container, path = '') =>
      `sqs+http://${accessKeyId}:${secretAccessKey}@${through.host}:${through.port}${path}${query(through)}`,
    client: (through = container) => client(through),
  }
}
