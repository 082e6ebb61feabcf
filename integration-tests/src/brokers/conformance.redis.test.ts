import { writeReport } from '@msgloop/conformance'
import { describeConformance } from '@msgloop/conformance/vitest'
import { redisHarness } from '../harness/redis.js'
import { REDIS_IMAGES, startRedis } from '../redis-server.js'

for (const image of REDIS_IMAGES) {
  describeConformance(
    `conformance on ${image}`,
    async () => {
      const server = await startRedis(image)
      const harness = await redisHarness(server)
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
