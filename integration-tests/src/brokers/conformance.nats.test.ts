import { writeReport } from '@msgloop/conformance'
import { describeConformance } from '@msgloop/conformance/vitest'
import { NATS_USER, natsHarness } from '../harness/nats.js'
import { NATS_IMAGES, startNats } from '../nats-server.js'

for (const image of NATS_IMAGES) {
  describeConformance(
    `conformance on ${image}`,
    async () => {
      const server = await startNats(image, [], { user: NATS_USER })
      const harness = await natsHarness(server)
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
