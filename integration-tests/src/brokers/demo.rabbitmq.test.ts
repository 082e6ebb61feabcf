import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RabbitmqServer } from '../rabbitmq-server.js'
import { RABBITMQ_IMAGES, startRabbitmq } from '../rabbitmq-server.js'

const CLI = fileURLToPath(new URL('../../../packages/msgloop/dist/cli.js', import.meta.url))
const run = promisify(execFile)

describe.each(RABBITMQ_IMAGES)('the demo on %s', (image) => {
  let server: RabbitmqServer
  beforeAll(async () => {
    server = await startRabbitmq(image)
  })
  afterAll(async () => {
    await server?.stop()
  })

  test('it kills a worker process, replays its dead letters, and ends balanced', async () => {
    const { stdout } = await run(process.execPath, [CLI, 'demo', server.url()])
    expect(stdout).toMatch(/28 sent = 26 processed \+ 2 dead: nothing is lost/)
  })
})
