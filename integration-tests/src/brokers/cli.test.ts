import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TopologyPlan } from '@msgloop/core'
import { defineQueue, Reject } from '@msgloop/core'
import { connect } from 'msgloop'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { AnyServer } from '../all-brokers.js'
import { ALL_BROKERS } from '../all-brokers.js'
import { runCli, runCliJson, startCli } from '../cli-process.js'

const SOON = { timeout: 30_000 }
const LINES = Array.from({ length: 5 }, (_, n) => JSON.stringify({ n })).join('\n')

interface Entry {
  readonly id: string
  readonly reason: string
  readonly body: unknown
}

/** Each command is a process of its own, so whatever one sees of another is what the broker keeps. */
describe.each(Object.entries(ALL_BROKERS))('the command line on %s', (broker, start) => {
  let server: AnyServer
  let url: string
  let folder: string
  let queue: string
  let file: string

  beforeAll(async () => {
    server = await start()
    url = server.url()
    folder = await mkdtemp(join(tmpdir(), 'msgloop-cli-'))
  })
  afterAll(async () => {
    await server?.stop()
    await rm(folder, { recursive: true, force: true })
  })
  beforeEach(async () => {
    queue = `cli-${randomUUID().slice(0, 8)}`
    file = join(folder, `${queue}.json`)
    await writeFile(file, JSON.stringify({ queues: { [queue]: {} } }))
    await runCli(url, ['topology', 'apply', '--file', file])
  })
  afterEach(async () => {
    const opened = await connect(url)
    await opened.queue(queue).delete()
    await opened.queue(queue).deadLetters.queue.delete()
    await opened.close()
  })

  /** Dead-letters all that is in the queue. */
  async function reject(count: number): Promise<void> {
    const opened = await connect(url)
    const consumer = opened.queue(defineQueue(queue)).consume(() => {
      throw new Reject('for the sake of the test')
    })
    await expect.poll(async () => (await runCliJson(url, ['dlq', 'list', queue])).length, SOON).toBe(count)
    await consumer.close()
    await opened.close()
  }

  const received = async (max: number): Promise<unknown[]> => {
    const bodies: unknown[] = []
    await expect
      .poll(async () => {
        const messages = await runCliJson(url, ['receive', queue, '--max', String(max), '--wait', '2s'])
        bodies.push(...messages.map(({ body }) => body))
        return bodies.length
      }, SOON)
      .toBe(max)
    return bodies
  }

  test('sends, counts, looks and receives', { timeout: 120_000 }, async () => {
    const sent = await runCliJson(url, ['send', queue, '--lines', '--header', 'tenant=a'], { input: LINES })
    expect(new Set(sent.map(({ id }) => id)).size).toBe(5)
    const [stats] = await runCliJson<Record<string, { readonly ready?: number }>>(url, ['stats', queue])
    expect([undefined, 5]).toContain(stats?.[queue]?.ready)
    const [peeked] = await runCliJson(url, ['peek', queue, '--max', '1'])
    expect(peeked).toMatchObject({ headers: { tenant: 'a' }, attempt: 1 })
    expect(await received(5)).toHaveLength(5)
    expect(await runCliJson(url, ['receive', queue])).toEqual([])
  })

  test('works dead letters: list, show, replay, edit, remove, purge', { timeout: 180_000 }, async () => {
    await runCli(url, ['send', queue, '--lines'], { input: LINES })
    await reject(5)
    const entries = await runCliJson<Entry>(url, ['dlq', 'list', queue, '--reason', 'rejected'])
    const ids = entries.map(({ id }) => id)
    expect(ids).toHaveLength(5)
    const [first = '', second = '', third = '', ...rest] = ids
    const [shown] = await runCliJson(url, ['dlq', 'show', queue, first])
    expect(shown).toMatchObject({ id: first, source: queue, error: { name: 'Reject' } })
    expect((await runCli(url, ['dlq', 'show', queue, first])).stdout).toContain('for the sake of the test')

    const [dry] = await runCliJson(url, ['dlq', 'replay', queue, '--dry-run'])
    expect(dry).toMatchObject({ replayed: 5, reasons: { rejected: 5 }, errors: { Reject: 5 } })
    const [replayed] = await runCliJson(url, ['dlq', 'replay', queue, '--id', first])
    expect(replayed).toMatchObject({ replayed: 1, kept: 4 })
    expect(await received(1)).toEqual([entries[0]?.body])

    const edit = ['dlq', 'edit', queue, second, '--body', '-']
    const [edited] = await runCliJson(url, edit, { input: '{"mended":true}' })
    expect(edited).toMatchObject({ editedFrom: second })
    expect(await received(1)).toEqual([{ mended: true }])

    await runCli(url, ['dlq', 'remove', queue, '--id', third], { exitCode: 2 })
    expect(await runCliJson(url, ['dlq', 'remove', queue, '--id', third, '--yes'])).toEqual([
      { removed: 1, ids: [third] },
    ])
    const left = await runCliJson<Entry>(url, ['dlq', 'list', queue])
    expect(left.map(({ id }) => id).sort()).toEqual([...rest].sort())
    await runCli(url, ['dlq', 'purge', queue, '--yes'])
    expect(await runCliJson(url, ['dlq', 'list', queue])).toEqual([])
  })

  test('a canary waits for a consumer in another process', { timeout: 120_000 }, async () => {
    await runCli(url, ['send', queue, '--lines'], { input: LINES })
    await reject(5)
    const opened = await connect(url)
    const seen = new Set<string>()
    opened.queue(queue).consume((_, { id }) => {
      seen.add(id)
    })
    const [result] = await runCliJson(url, ['dlq', 'replay', queue, '--canary', '2'])
    expect(result).toMatchObject({ replayed: 5, canary: { handled: 2, passed: true } })
    await expect.poll(() => seen.size, SOON).toBe(5)
    await opened.close()
  })

  test('a topology that differs is told, with exit code 1', { timeout: 60_000 }, async () => {
    expect((await runCli(url, ['topology', 'verify', '--file', file])).stdout).toBe('all is as declared\n')
    // SQS keeps dead letters for as long as it can, and NATS queues do not know where theirs go.
    const other = broker === 'SQS' ? { deadLetter: `${queue}.other` } : { deadLetterRetention: '1d' }
    await writeFile(file, JSON.stringify({ queues: { [queue]: other } }))
    const { stdout } = await runCli(url, ['topology', 'verify', '--file', file], { exitCode: 1 })
    expect(stdout).toMatch(/^queue "cli-\S+": \S+ is \S+, not \S+$/m)
    const [plan] = await runCliJson<TopologyPlan>(url, ['topology', 'plan', '--file', file], { exitCode: 1 })
    expect(plan?.objects.map(({ action }) => action)).toContain('refuse')
    const { stderr } = await runCli(url, ['topology', 'apply', '--file', file], { exitCode: 1 })
    expect(stderr).toContain('nothing was created')
  })

  test('Ctrl-C ends a command that follows, and nothing is lost', { timeout: 60_000 }, async () => {
    await runCli(url, ['send', queue, '{"n":1}'])
    const following = startCli(url, ['receive', queue, '--follow', '--json'])
    expect(JSON.parse(await following.firstLine())).toMatchObject({ body: { n: 1 } })
    following.signal('SIGINT')
    expect((await following.ended).exitCode).toBe(130)
    await runCli(url, ['send', queue, '{"n":2}'])
    expect(await received(1)).toEqual([{ n: 2 }])
  })

  test('what nobody reads any more is given back', { timeout: 60_000 }, async () => {
    await runCli(url, ['send', queue, '{"n":1}'])
    const following = startCli(url, ['receive', queue, '--follow', '--json'])
    await following.firstLine()
    following.hangUp()
    await runCli(url, ['send', queue, '{"n":2}'])
    expect((await following.ended).exitCode).toBe(0)
    // The first one may come again: it was read, and hung up on before the command could know.
    const bodies: unknown[] = []
    const again = async (): Promise<unknown[]> => {
      bodies.push(...(await runCliJson(url, ['receive', queue, '--wait', '2s'])).map(({ body }) => body))
      return bodies
    }
    await expect.poll(again, SOON).toContainEqual({ n: 2 })
  })
})
