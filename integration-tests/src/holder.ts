// Holds one message for ever: the process that conformance cases kill. Arguments: URL, queue.
import { nats } from '@msgloop/adapter-nats'
import { rabbitmq } from '@msgloop/adapter-rabbitmq'
import { redisStreams } from '@msgloop/adapter-redis-streams'
import { sqs } from '@msgloop/adapter-sqs'
import { holdMessage } from '@msgloop/conformance'

const OPEN = {
  'amqp:': rabbitmq,
  'sqs+http:': sqs,
  'nats:': nats,
  'redis:': redisStreams,
  'redis+cluster:': redisStreams,
}
const [url = '', queue = ''] = process.argv.slice(2)
const open = Object.entries(OPEN).find(([scheme]) => url.startsWith(scheme))?.[1]
if (!open) throw new Error('holder: no adapter for this URL')
await holdMessage(open({ url }), queue)
