import type { SqsServer } from './sqs-server.js'
import { startSqsServer } from './sqs-server.js'

/**
 * Keeps queues and messages in a file, each written before its request is answered, so that they outlive a
 * SIGKILL. A pause between writes, which is H2's default, would lose half a second of them.
 */
export const DURABLE: readonly string[] = [
  '-Dmessages-storage.enabled=true',
  '-Dmessages-storage.uri=jdbc:h2:/data/elasticmq;WRITE_DELAY=0',
]

/** @param extraConfig further settings of the server, as `-Dname=value` */
export function startElasticmq(extraConfig: readonly string[] = []): Promise<SqsServer> {
  return startSqsServer({
    image: 'softwaremill/elasticmq-native:1',
    port: 9324,
    ready: /ElasticMQ server \(.*\) started/,
    command: extraConfig,
    /** It tells nobody its version but its log; the stand-in's jars are named by it. */
    async version(container) {
      const jars = await container.exec('ls', '/opt/elasticmq/lib').catch(() => '')
      return `elasticmq ${/elasticmq-server_[\d.]+-([\d.]+)\.jar/.exec(jars)?.[1] ?? '1'}`
    },
  })
}
