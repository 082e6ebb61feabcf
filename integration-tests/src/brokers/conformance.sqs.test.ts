import { writeReport } from '@msgloop/conformance'
import { describeConformance } from '@msgloop/conformance/vitest'
import { startElasticmq } from '../elasticmq-server.js'
import { sqsHarness } from '../harness/sqs.js'

/**
 * ElasticMQ 1.7 goes on serving a request for messages whose connection is gone, and hands them to nobody: they
 * come back after a lease, counted once more. On a broker that retries in place a hand-over is an attempt.
 */
const HANDED_TO_NOBODY = 'ElasticMQ hands messages to requests whose connection was cut, and counts it'

describeConformance(
  'conformance on SQS, as ElasticMQ',
  async () => {
    const server = await startElasticmq()
    const harness = await sqsHarness(server, {
      noTopics: 'ElasticMQ has no SNS: topics are proven on moto',
      cannotProve: { 'R6-cut': HANDED_TO_NOBODY, 'T3-disconnect': HANDED_TO_NOBODY },
    })
    return {
      ...harness,
      async close() {
        await harness.close()
        await server.stop()
      },
    }
  },
  {
    onReport: (report) => writeReport('.reports/conformance/elasticmq-1.json', report),
  },
)
