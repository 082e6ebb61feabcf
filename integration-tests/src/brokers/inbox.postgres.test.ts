import { writeReport } from '@msgloop/conformance'
import { describeConformance } from '@msgloop/conformance/vitest'
import type { PostgresInboxOptions } from '@msgloop/postgres'
import { memoryHarness } from '../harness/memory.js'
import { postgresBed } from '../harness/postgres.js'
import { POSTGRES_IMAGES, startPostgres } from '../postgres-server.js'

const RUNS: readonly (readonly [string, string, PostgresInboxOptions])[] = [
  ...POSTGRES_IMAGES.map((image) => [image, image, {}] as const),
  [`${POSTGRES_IMAGES[0]}, serializable`, POSTGRES_IMAGES[0], { isolation: 'serializable' }],
]

for (const [title, image, options] of RUNS)
  describeConformance(
    `inbox on ${title}`,
    async () => {
      const server = await startPostgres(image)
      const bed = await postgresBed(server.url(), options)
      const harness = memoryHarness('inbox', title, bed)
      return {
        ...harness,
        async close() {
          await harness.close()
          await bed.close()
          await server.stop()
        },
      }
    },
    {
      filter: ({ clauses }) => clauses.includes('X3'),
      onReport: (report) =>
        writeReport(`.reports/conformance/inbox-${title.replace(/\W+/g, '-')}.json`, report),
    },
  )
