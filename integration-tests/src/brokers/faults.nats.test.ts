import { describeFaults } from '../fault-suite.js'
import { startNats } from '../nats-server.js'
import { describeTopicFaults } from '../topic-fault-suite.js'

const options = { start: () => startNats('nats:2.10') }

describeFaults('NATS', options)
describeTopicFaults('NATS', options)
