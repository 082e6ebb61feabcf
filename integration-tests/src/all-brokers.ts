import { startElasticmq } from './elasticmq-server.js'
import { startNats } from './nats-server.js'
import { startRabbitmq } from './rabbitmq-server.js'
import { startRedis } from './redis-server.js'

/** What a test needs that only knows URLs. */
export interface AnyServer {
  url(): string
  stop(): Promise<void>
}

/** One real broker of each kind, by the name people know it by. */
export const ALL_BROKERS: Readonly<Record<string, () => Promise<AnyServer>>> = {
  RabbitMQ: () => startRabbitmq('rabbitmq:4-management'),
  SQS: () => startElasticmq(),
  NATS: () => startNats('nats:2.10'),
  Redis: () => startRedis('redis:8'),
}
