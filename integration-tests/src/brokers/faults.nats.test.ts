import { describeFaults } from '../fault-suite.js'
import { startNats } from '../nats-server.js'

describeFaults('NATS', { start: () => startNats('nats:2.10') })
