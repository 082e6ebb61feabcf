import { DURABLE, startElasticmq } from '../elasticmq-server.js'
import { describeExactlyOnce } from '../exactly-once-suite.js'

describeExactlyOnce('SQS', { start: () => startElasticmq(DURABLE) })
