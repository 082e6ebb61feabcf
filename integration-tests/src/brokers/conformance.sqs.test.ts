import { writeReport } from '@msgloop/conformance'
import { describeConformance } from '@msgloop/conformance/vitest'
import { startElasticmq } from '../elasticmq-server.js'
import { sqsHarness } from '../harness/sqs.js'

describeConformance(
  'conformance on SQS, as ElasticMQ',
  async () => {
    const server = await startElasticmq()
    const harness = await sqsHarness(server)
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
