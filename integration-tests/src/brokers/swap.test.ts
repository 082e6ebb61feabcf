import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AnyServer } from '../all-brokers.js'
import { ALL_BROKERS } from '../all-brokers.js'
import type { Outcome } from '../swap-app.js'
import { runApplication } from '../swap-app.js'

let embedded: Outcome
beforeAll(async () => {
  embedded = await runApplication('memory:')
})

test('the application does something worth comparing', () => {
  expect(embedded.processed).toHaveLength(16)
  expect(embedded.processed.filter(({ attempt }) => attempt === 3)).toHaveLength(4)
  expect(embedded.dead).toHaveLength(8)
  expect(embedded.replayed).toHaveLength(4)
  expect(embedded.left).toBe(4)
})

describe.each(Object.entries(ALL_BROKERS))('the same application on %s', (_name, start) => {
  let server: AnyServer
  beforeAll(async () => {
    server = await start()
  })
  afterAll(async () => {
    await server?.stop()
  })

  test('has the same outcome as on the embedded broker, message by message', async () => {
    expect(await runApplication(server.url())).toEqual(embedded)
  })
})
