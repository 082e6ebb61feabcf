import type { Broker, Queue } from '@msgloop/core'
import { defineQueue, Reject } from '@msgloop/core'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { dlqCommand } from './commands/dlq.js'
import { CommandFailure } from './commands/failure.js'
import { connect } from './connect.js'

let broker: Broker
let orders: Queue<unknown>
let url: string
let made = 0

beforeEach(async () => {
  url = `memory://dlq-commands-${++made}`
  broker = await connect(url)
  orders = broker.queue(defineQueue('orders', { maxReplays: 1 }))
})
afterEach(() => broker.close())

async function die(...ids: readonly string[]): Promise<void> {
  const consumer = orders.consume((_, { id }) => {
    throw Object.assign(new Reject(`no ${id}`), { name: id.startsWith('t') ? 'Timeout' : 'Gone' })
  })
  for (const id of ids) await orders.send({ of: id }, { id, headers: { tenant: 'acme' } })
  await expect.poll(async () => (await orders.stats()).dead).toBe(ids.length)
  await consumer.close()
}

/** What a command prints, run in this process, where the embedded broker is. */
async function run(...args: readonly string[]): Promise<string> {
  let printed = ''
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    printed += chunk
    return true
  })
  try {
    await dlqCommand().parseAsync([...args, '--url', url], { from: 'user' })
    return printed
  } finally {
    write.mockRestore()
  }
}

const parsed = async (...args: readonly string[]): Promise<unknown[]> =>
  (await run(...args, '--json'))
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line): unknown => JSON.parse(line))

const idsNow = async (): Promise<unknown[]> =>
  ((await parsed('list', 'orders')) as { readonly id: string }[]).map(({ id }) => id)

describe('dlq', () => {
  test('list prints a table, or an entry per line', async () => {
    await die('t1', 'g1', 't2')
    const table = await run('list', 'orders')
    expect(table).toMatch(/id +dead since +reason +attempts +replays +error\n/)
    expect(table).toMatch(/t1 .*rejected +1 +0 +Timeout: no t1\n/)
    expect(table).toMatch(/3 in all/)
    expect(await parsed('list', 'orders', '--error', 'Timeout*', '--since', '1h')).toMatchObject([
      { id: 't1', reason: 'rejected', source: 'orders', body: { of: 't1' }, headers: { tenant: 'acme' } },
      { id: 't2' },
    ])
    expect(await parsed('list', 'orders', '--id', 't1', '--id', 'g1', '-n', '1')).toMatchObject([
      { id: 't1' },
    ])
    expect(await parsed('list', 'orders', '--header', 'tenant=other')).toEqual([])
    expect(await idsNow(), 'nothing is taken').toEqual(['t1', 'g1', 't2'])
  })

  test('show tells all of one entry, and fails when there is none', async () => {
    await die('t1')
    const text = await run('show', 'orders', 't1')
    expect(text).toMatch(/reason +rejected/)
    expect(text).toMatch(/header tenant +acme/)
    expect(text).toContain('{"of":"t1"}')
    expect(await parsed('show', 'orders', 't1')).toMatchObject([{ attempts: [{ attempt: 1 }] }])
    await expect(run('show', 'orders', 't9')).rejects.toMatchObject({ exitCode: 1 })
  })

  test('replay counts, moves, and quarantines what was replayed too often', async () => {
    await die('t1', 'g1')
    const [dry] = await parsed('replay', 'orders', '--dry-run')
    expect(dry).toMatchObject({ replayed: 2, errors: { Timeout: 1, Gone: 1 } })
    expect(await parsed('replay', 'orders', '--error', 'Gone*')).toMatchObject([{ replayed: 1, kept: 1 }])
    const [delivery] = await orders.receive()
    expect(delivery).toMatchObject({ id: 'g1', attempt: 1, replays: 1 })
    await delivery?.ack()
    expect(await run('replay', 'orders')).toMatch(/^1 replayed, 0 quarantined, 0 did not match, 0 failed\n/)
  })

  test('a canary that nobody handles stops the replay with exit code 1', async () => {
    await die('t1', 't2', 't3')
    const replay = run('replay', 'orders', '--canary', '1', '--canary-wait', '100ms')
    await expect(replay).rejects.toMatchObject({ exitCode: 1, message: expect.stringMatching(/canary/) })
    expect(await idsNow()).toEqual(['t2', 't3'])
  })

  test('remove needs a filter and an answer, and removes what it showed', async () => {
    await die('t1', 'g1')
    await expect(run('remove', 'orders')).rejects.toMatchObject({ exitCode: 2 })
    await expect(run('remove', 'orders', '--id', 't1')).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringContaining('--yes'),
    })
    expect(await idsNow()).toEqual(['t1', 'g1'])
    expect(await parsed('remove', 'orders', '--id', 't1', '--yes')).toEqual([{ removed: 1, ids: ['t1'] }])
    expect(await idsNow()).toEqual(['g1'])
  })

  test('purge asks too, and empties it', async () => {
    await die('t1', 'g1')
    await expect(run('purge', 'orders')).rejects.toBeInstanceOf(CommandFailure)
    expect(await parsed('purge', 'orders', '--yes')).toEqual([{ queue: 'orders.dlq', purged: 2 }])
    expect(await idsNow()).toEqual([])
  })

  test('edit sends it anew, and names where it came from', async () => {
    await die('t1')
    const [edited] = await parsed('edit', 'orders', 't1', '--body', '{"mended":true}', '--header', 'by=ann')
    expect(edited).toMatchObject({ editedFrom: 't1' })
    const [delivery] = await orders.receive()
    expect(delivery).toMatchObject({ body: { mended: true }, headers: { by: 'ann' }, causationId: 't1' })
    await expect(run('edit', 'orders', 't1', '--body', '{"a":')).rejects.toMatchObject({ exitCode: 2 })
    await expect(run('edit', 'orders', 't1')).rejects.toMatchObject({ exitCode: 2 })
  })

  test.each([
    [['list', 'orders', '--reason', 'tired'], /--reason is "tired"/],
    [['list', 'orders', '--since', 'yesterday'], /is no time/],
    [['list', 'orders', '--header', 'tenant'], /name=value/],
    [['list', 'orders', '--file', 'missing.json'], /missing\.json: .*ENOENT/],
  ])('wrong usage is exit code 2: %j', async (args, message) => {
    await expect(run(...args)).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringMatching(message),
    })
  })
})
