import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'

const PACKAGE = fileURLToPath(new URL('..', import.meta.url))
let home = ''
let scope = ''

/** An installation of msgloop whose node_modules we choose. */
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'msgloop-'))
  scope = join(home, 'node_modules', '@msgloop')
  await mkdir(scope, { recursive: true })
  await cp(join(PACKAGE, 'dist'), join(home, 'dist'), { recursive: true })
  await cp(join(PACKAGE, 'package.json'), join(home, 'package.json'))
  await symlink(join(PACKAGE, 'node_modules', '@msgloop', 'core'), join(scope, 'core'))
})

afterAll(() => rm(home, { recursive: true, force: true }))

async function refusal(url: string): Promise<unknown> {
  const script = `
    const { connect } = await import(${JSON.stringify(join(home, 'dist', 'index.js'))})
    const { code, message } = await connect(${JSON.stringify(url)}).catch((error) => error)
    process.stdout.write(JSON.stringify({ code, message }))`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
  return JSON.parse(stdout)
}

test('a scheme whose adapter is not installed is refused with what to install', async () => {
  for (const [url, name] of [
    ['amqps://ann:s3cret@host', '@msgloop/adapter-rabbitmq'],
    ['memory:', '@msgloop/adapter-memory'],
  ] as const)
    expect(await refusal(url)).toEqual({
      code: 'ADAPTER_MISSING',
      message: `connect: ${name} is not installed; npm install ${name}`,
    })
})

test('an adapter that lacks something itself is not told to be missing', async () => {
  const adapter = join(scope, 'adapter-rabbitmq')
  await mkdir(adapter)
  await writeFile(join(adapter, 'package.json'), '{ "type": "module", "exports": "./index.js" }')
  await writeFile(join(adapter, 'index.js'), "import 'no-such-client'")
  expect(await refusal('amqp://ann:s3cret@host')).toEqual({
    code: 'UNKNOWN',
    message: expect.stringMatching(/^connect: cannot load @msgloop\/adapter-rabbitmq: .*no-such-client/),
  })
})
