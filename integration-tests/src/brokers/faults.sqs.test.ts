import { DURABLE, startElasticmq } from '../elasticmq-server.js'
import { describeFaults } from '../fault-suite.js'

describeFaults('SQS', { start: () => startElasticmq(DURABLE) })
