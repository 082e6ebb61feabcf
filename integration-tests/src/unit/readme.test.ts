import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import * as msgloop from 'msgloop'
import { Pool } from 'pg'
import { afterAll, expect, test, vi } from 'vitest'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
/** Inside the workspace, so that imports mean the same there as in a test. */
const FOLDER = `${ROOT}.reports/readme-${process.pid}/`

interface Block {
  readonly title: string
  readonly imports: readonly string[]
  readonly code: string
}

function blocksOf(markdown: string): Block[] {
  return [...markdown.matchAll(/```ts\n([\s\S]*?)```/g)].map(({ 1: text = '', index }) => {
    const before = markdown.slice(0, index).trimEnd().split('\n')
    const lines = text.split('\n')
    return {
      title: before.at(-1)?.startsWith('```') ? 'the first lines' : (before.at(-1) ?? '').replaceAll('*', ''),
      imports: lines.filter((line) => line.startsWith('import ')),
      code: lines.filter((line) => !line.startsWith('import ')).join('\n'),
    }
  })
}

/** What the blocks speak of without making it: everything of msgloop, and what the application has. */
const GIVEN = ['queue', 'prices', 'broker', 'mail', 'smtp', 'url', 'OLD_URL', 'NEW_URL', 'pool'] as const

/** A module that runs a block in a world that is given to it. What a block declares itself, it is not given. */
function moduleOf({ imports, code }: Block): string {
  const own = new Set(
    [
      ...`${imports.join('\n')}\n${code}`.matchAll(/\b(?:const|import)\s*\{?([^=;]*?)\}?\s*(?:=|from)/g),
    ].flatMap(([, names = '']) => names.split(',').map((name) => name.trim())),
  )
  const names = [...Object.keys(msgloop), ...GIVEN].filter((name) => !own.has(name))
  return `${imports.join('\n')}
type Mail = { to: string; template?: string }
type Booking = { amount: number }
type Job = { page: number }
type Payment = { from: string; to: string; amount: number }
export default async function (world: any) {
  const { ${names.join(', ')} } = world
  ${code}
  ${/\bbroker\b/.test(names.join(' ')) ? '' : 'return broker'}
}`
}

mkdirSync(FOLDER, { recursive: true })
afterAll(() => rmSync(FOLDER, { recursive: true }))

const blocks = blocksOf(readFileSync(`${ROOT}README.md`, 'utf8'))

test('the README shows what msgloop can do', () => {
  expect(blocks.length).toBeGreaterThanOrEqual(10)
})

test.each(blocks.map((block, at) => [block.title, block, at] as const))('%s', async (_, block, at) => {
  const path = `${FOLDER}block-${at}.ts`
  writeFileSync(path, moduleOf(block))
  const { default: run } = (await import(/* @vite-ignore */ pathToFileURL(path).href)) as {
    default: (world: object) => Promise<msgloop.Broker | undefined>
  }
  vi.spyOn(console, 'log').mockImplementation(() => {})
  const names = { from: `readme-${at}-old`, to: `readme-${at}-new` }
  const broker = await msgloop.connect('memory:')
  const queue = broker.queue(msgloop.defineQueue<{ to: string }>('mails'))
  await queue.send({ to: 'ada@example.com' })
  const made = await run({
    ...msgloop,
    broker,
    queue,
    prices: broker.queue(msgloop.defineQueue('prices')),
    mail: { to: 'ada@example.com', template: 'welcome' },
    smtp: { async send() {} },
    url: 'memory:',
    OLD_URL: `memory://${names.from}`,
    NEW_URL: `memory://${names.to}`,
    // Connects on first use, and no message comes to that queue.
    pool: new Pool(),
  })
  await made?.close()
  await broker.close()
  vi.restoreAllMocks()
})
