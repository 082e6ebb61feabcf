import { writeReport } from '@msgloop/conformance'
import { describeConformance } from '@msgloop/conformance/vitest'
import { sqsHarness } from '../harness/sqs.js'
import { startMoto } from '../moto-server.js'

/** Topics alone: all that holds for queues is proven on ElasticMQ, whose SQS is nearer to the real one. */
const OF_TOPICS = /^(P\d|T6)-/

describeConformance(
  'conformance on SNS and SQS, as moto',
  async () => {
    const server = await startMoto()
    const harness = await sqsHarness(server, { cannotProve: {} })
    return {
      ...harness,
      async close() {
        await harness.close()
        await server.stop()
      },
    }
  },
  {
    filter: ({ id }) => OF_TOPICS.test(id),
    onReport: (report) => writeReport('.reports/conformance/moto-5.json', report),
  },
)
