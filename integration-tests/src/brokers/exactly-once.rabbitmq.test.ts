import { describeExactlyOnce } from '../exactly-once-suite.js'
import { startRabbitmq } from '../rabbitmq-server.js'

describeExactlyOnce('RabbitMQ', {
  start: () => startRabbitmq('rabbitmq:4-management'),
  // One that is killed earlier has forgotten a new quorum queue for good.
  declaredMs: 3_000,
})
