import { describeExactlyOnce } from '../exactly-once-suite.js'
import { startNats } from '../nats-server.js'

describeExactlyOnce('NATS', { start: () => startNats('nats:2.10') })
