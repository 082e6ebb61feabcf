import { writeReport } from '@msgloop/conformance'
import { describeConformance } from '@msgloop/conformance/vitest'
import { rabbitmqHarness } from '../harness/rabbitmq.js'
import { RABBITMQ_IMAGES, startRabbitmq } from '../rabbitmq-server.js'

/**
 * The newest and the oldest version run every case. Between them only what versions do differently is run again:
 * hand-overs and what counts as one, retries, the broker's own dead letters, and the turns of partitions.
 */
const DIFFERS = /^(R|T|D[1-3]|O2)/

for (const image of RABBITMQ_IMAGES) {
  describeConformance(
    `conformance on ${image}`,
    async () => {
      const server = await startRabbitmq(image)
      const harness = await rabbitmqHarness(server)
      return {
        ...harness,
        async close() {
          await harness.close()
          await server.stop()
        },
      }
    },
    {
      ...(image === 'rabbitmq:4-management' && { filter: ({ id }) => DIFFERS.test(id) }),
      onReport: (report) => writeReport(`.reports/conformance/${image.replace(/[:/]/g, '-')}.json`, report),
    },
  )
}
