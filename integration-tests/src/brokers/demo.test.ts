import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AnyServer } from '../all-brokers.js'
import { ALL_BROKERS } from '../all-brokers.js'
import { startRabbitmq } from '../rabbitmq-server.js'

const CLI = fileURLToPath(new URL('../../../packages/msgloop/dist/cli.js', import.meta.url))
const run = promisify(execFile)
const BROKERS = { ...ALL_BROKERS, 'RabbitMQ 3.10': () => startRabbitmq('rabbitmq:3.10-management') }

describe.each(Object.entries(BROKERS))('the demo on %s', (_name, start) => {
  let server: AnyServer
  beforeAll(async () => {
    server = await start()
  })
  afterAll(async () => {
    await server?.stop()
  })

  test('it kills a worker process, replays its dead letters, and ends balanced', async () => {
    const { stdout } = await run(process.execPath, [CLI, 'demo', server.url()])
    expect(stdout).toMatch(/28 sent = 26 processed \+ 2 dead: nothing is lost/)
  })
})
