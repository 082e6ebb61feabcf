import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Queue } from '@msgloop/core'
import { Reject } from '@msgloop/core'
import { Migration } from '@msgloop/migrate'
import { connect, openDriver } from 'msgloop'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AnyServer } from '../all-brokers.js'
import { ALL_BROKERS } from '../all-brokers.js'
import { faultQueue } from '../fault-queue.js'
import { startMigrator } from '../migrator-process.js'

/** The issue asks for 20 000; fewer are enough while working on it, and in CI. */
const MESSAGES = Number(process.env.MIGRATE_MESSAGES ?? 400)
const KILLS = Number(process.env.MIGRATE_KILLS ?? 2)
/** Copies a bridge has under way at most, each of which a kill may double. */
const UNDERWAY = 500

type Body = { readonly n: number }

const servers: Record<string, AnyServer> = {}
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'msgloop-migrate-'))
  for (const [name, start] of Object.entries(ALL_BROKERS)) servers[name] = await start()
})
afterAll(async () => {
  await Promise.all(Object.values(servers).map((server) => server.stop()))
  await rm(folder, { recursive: true })
})

/** Every fifth is delayed, every tenth has failed once and waits, every twentieth is dead. */
async function fill(queue: Queue<Body>): Promise<{ sent: string[]; retried: string[]; dead: string[] }> {
  const results = await queue.sendBatch(
    Array.from({ length: MESSAGES }, (_, n) => ({ body: { n }, ...(n % 5 === 0 && { delay: '2s' }) })),
  )
  const [retried, dead]: [string[], string[]] = [[], []]
  while (retried.length < MESSAGES / 10 || dead.length < MESSAGES / 20)
    for (const delivery of await queue.receive({ max: 10, wait: '1s' }))
      if (dead.length < MESSAGES / 20) {
        await delivery.reject(new Reject('no such customer'))
        dead.push(delivery.id)
      } else if (retried.length < MESSAGES / 10) {
        await delivery.retry({ error: new Error('not yet'), delay: '2s' })
        retried.push(delivery.id)
      } else await delivery.release()
  return { sent: results.flatMap((result) => (result.ok ? [result.id] : [])), retried, dead }
}

const NAMES = Object.keys(ALL_BROKERS)

describe.each(NAMES.flatMap((from) => NAMES.filter((to) => to !== from).map((to) => [from, to] as const)))(
  'from %s to %s',
  (fromName, toName) => {
    test(`a running system moves, its bridge killed ${KILLS} times: nothing is lost or altered`, {
      timeout: 600_000,
    }, async () => {
      const [fromUrl, toUrl] = [servers[fromName]?.url() ?? '', servers[toName]?.url() ?? '']
      const definition = faultQueue(`move-${randomUUID().slice(0, 8)}`)
      const state = join(folder, definition.name)
      const [before, after] = [await connect(fromUrl), await connect(toUrl)]
      const source = before.queue(definition)
      const { sent, retried, dead } = await fill(source)
      expect(sent).toHaveLength(MESSAGES)

      const drivers = [await openDriver(fromUrl), await openDriver(toUrl)] as const
      const migration = await Migration.open({
        from: drivers[0],
        to: drivers[1],
        queues: [definition],
        state,
      })
      const plan = await migration.plan()
      expect(plan.obstacles).toEqual([])
      await migration.prepare()

      const handled = new Map<string, number[]>()
      const consumer = after.queue(definition).consume((_, { id, attempt }) => {
        handled.set(id, [...(handled.get(id) ?? []), attempt])
      })
      const later: string[] = []
      const producing = setInterval(() => {
        void source.send({ n: -1 }).then((id) => later.push(id))
      }, 20)
      for (let kill = 0; kill < KILLS; kill++) {
        const doomed = startMigrator(fromUrl, toUrl, definition.name, state)
        await doomed.reached(1 + Math.floor((Math.random() * MESSAGES) / (KILLS + 1)))
        await doomed.kill()
      }
      clearInterval(producing)
      expect(await startMigrator(fromUrl, toUrl, definition.name, state).end()).toBe(0)

      const expected = [...sent, ...later].filter((id) => !dead.includes(id))
      await expect.poll(() => expected.filter((id) => !handled.has(id)), { timeout: 30_000 }).toEqual([])
      await consumer.close()
      for (const id of retried) expect(handled.get(id)?.[0], `attempt of ${id}`).toBe(2)
      const doubled = [...handled.values()].reduce((sum, { length }) => sum + length - 1, 0)
      expect(doubled).toBeLessThanOrEqual(KILLS * UNDERWAY)
      const verdict = await migration.verify({ consumed: (id) => handled.has(id) })
      for (const { lost, altered, leftBehind } of verdict.queues)
        expect({ lost, altered, leftBehind }).toEqual({
          lost: { count: 0, ids: [] },
          altered: { count: 0, ids: [] },
          leftBehind: { count: 0, ids: [] },
        })
      const found = new Set<string>()
      for await (const entry of after.queue(definition).deadLetters.list()) {
        expect(entry).toMatchObject({ reason: 'rejected', source: definition.name })
        expect(entry.error?.message).toBe('no such customer')
        found.add(entry.id)
      }
      expect([...found].sort()).toEqual([...dead].sort())
      process.stdout.write(
        `  ${fromName} → ${toName}: ${sent.length + later.length} sent, ${handled.size} handled, ${found.size} dead, ${doubled} doubled, 0 lost\n`,
      )
      for (const queue of [source, after.queue(definition)]) {
        await queue.delete()
        await queue.deadLetters.queue.delete()
      }
      await Promise.all([...drivers.map((driver) => driver.close()), before.close(), after.close()])
    })
  },
)
