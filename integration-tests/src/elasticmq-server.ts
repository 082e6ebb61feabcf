import { ListQueuesCommand, SQSClient } from '@aws-sdk/client-sqs'
import type { BrokerContainer } from './broker-container.js'
import { startContainer } from './broker-container.js'
import type { Endpoint } from './tcp-proxy.js'

export const ELASTICMQ_IMAGE = 'softwaremill/elasticmq-native:1'
/** ElasticMQ takes any, and the SDK wants some. */
const CREDENTIALS = { accessKeyId: 'elasticmq', secretAccessKey: 'any' } as const

/**
 * Keeps queues and messages in a file, each written before its request is answered, so that they outlive a
 * SIGKILL. A pause between writes, which is H2's default, would lose half a second of them.
 */
export const DURABLE: readonly string[] = [
  '-Dmessages-storage.enabled=true',
  '-Dmessages-storage.uri=jdbc:h2:/data/elasticmq;WRITE_DELAY=0',
]

const PROBE_MS = 3_000

export interface ElasticmqServer extends BrokerContainer {
  readonly version: string
  /** The host of the server is not always the one a proxy listens on, so a proxy is given whole. */
  url(through?: Endpoint, query?: string): string
  /** A client of the SDK alone. Whoever asks for it destroys it. */
  client(through?: Endpoint): SQSClient
}

/** @param extraConfig further settings of the server, as `-Dname=value` */
export async function startElasticmq(extraConfig: readonly string[] = []): Promise<ElasticmqServer> {
  const client = ({ host, port }: Endpoint): SQSClient =>
    new SQSClient({
      region: 'us-east-1',
      endpoint: `http://${host}:${port}`,
      credentials: CREDENTIALS,
      useQueueUrlAsEndpoint: false,
    })
  const container = await startContainer({
    image: ELASTICMQ_IMAGE,
    port: 9324,
    ready: /ElasticMQ server \(.*\) started/,
    command: extraConfig,
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
  return {
    ...container,
    version: await versionOf(container),
    url: ({ host, port } = container, query = '') =>
      `sqs+http://${accessKeyId}:${secretAccessKey}@${host}:${port}${query}`,
    client: (through = container) => client(through),
  }
}

/** It tells nobody its version but its log; the stand-in's jars are named by it. */
async function versionOf(container: BrokerContainer): Promise<string> {
  const jars = await container.exec('ls', '/opt/elasticmq/lib').catch(() => '')
  return `elasticmq ${/elasticmq-server_[\d.]+-([\d.]+)\.jar/.exec(jars)?.[1] ?? '1'}`
}
