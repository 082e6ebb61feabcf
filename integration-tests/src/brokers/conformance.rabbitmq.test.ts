import { writeReport } from '@msgloop/conformance'
import { describeConformance } from '@msgloop/conformance/vitest'
import { rabbitmqHarness } from '../harness/rabbitmq.js'
import { RABBITMQ_IMAGES, startRabbitmq } from '../rabbitmq-server.js'

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
    { onReport: (report) => writeReport(`.reports/conformance/${image.replace(/[:/]/g, '-')}.json`, report) },
  )
}
