import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { cli } from '../test-support.js'

/** The embedded broker lives in one process, so what a command leaves there the next one cannot see. */
const CREATE = ['--create']

describe('send', () => {
  test('prints the id, or one JSON document', async () => {
    const { exitCode, stdout, stderr } = await cli(['send', 'orders', '{"id":7}', ...CREATE])
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    expect(stdout).toMatch(/^[0-9a-f-]{36}\n$/)
    const json = await cli(['send', 'orders', '{}', ...CREATE, '--json', '--id', 'mine'])
    expect(JSON.parse(json.stdout)).toEqual({ id: 'mine' })
  })

  test('reads its body, or a message per line, from standard input', async () => {
    expect(await cli(['send', 'orders', ...CREATE], {}, undefined, '{"id":7}')).toMatchObject({ exitCode: 0 })
    const { exitCode, stdout, stderr } = await cli(
      ['send', 'orders', '--lines', '--json', ...CREATE],
      {},
      undefined,
      '{"n":1}\n{"n":\n\n{"n":3}\n',
    )
    expect(exitCode).toBe(1)
    expect(stdout.trim().split('\n')).toHaveLength(2)
    expect(stderr).toMatch(/line 2: the body is not JSON.*\n.*1 of 4 lines were not sent/)
  })

  test.each([
    [['send', 'orders', '{"id":'], /not JSON.*--as text/],
    [['send', 'orders', '{}', '--header', 'x'], /--header takes name=value/],
    [['send', 'orders', '{}', '--lines'], /standard input/],
    [['send', 'orders', '{}', '--as', 'xml'], /Allowed choices are json, text, bytes/],
    [['receive', 'orders', '--max', '0'], /whole number above 0/],
    [['doctor', 'memory:', '--only', 'Z9'], /no case whose id begins with "Z9"/],
    [['migrate', 'plan', 'orders', '--from', 'memory:'], /required option '--to <url>'/],
  ])('wrong usage is exit code 2: %j', async (args, message) => {
    const { exitCode, stdout, stderr } = await cli(args)
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
    expect(stderr).toMatch(message)
  })

  test('a queue that is not there is not made unless asked for', async () => {
    const { exitCode, stderr } = await cli(['send', 'orders', '{}'])
    expect(exitCode).toBe(1)
    expect(stderr).toMatch(/^msgloop: .*"orders".*\n$/)
  })
})

test('doctor proves cases on a live broker, and writes the table', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'msgloop-doctor-'))
  const file = join(folder, 'report.md')
  const { exitCode, stdout } = await cli([
    'doctor',
    'memory://doctor',
    '--only',
    'R1-ack',
    '--report',
    file,
    '--json',
  ])
  expect(exitCode).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({
    adapter: 'memory',
    results: [{ id: 'R1-ack', status: 'passed' }],
  })
  expect(await readFile(file, 'utf8')).toContain('R1-ack')
  await rm(folder, { recursive: true })
})

test('every command explains itself, with examples and exit codes', async () => {
  for (const command of ['send', 'receive', 'peek', 'stats', 'doctor', 'demo']) {
    const { exitCode, stdout } = await cli([command, '--help'])
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/Exit codes:/)
  }
})

test.each(['bash', 'zsh', 'fish'])('completion for %s', async (shell) => {
  const script = await cli(['completion', shell])
  expect(script).toMatchObject({ exitCode: 0, stderr: '' })
  expect(script.stdout).toContain('msgloop')
  const { stdout } = await cli(['complete', '--', 'stats', '--'])
  expect(stdout).toContain('--watch')
})

test('two sides that are one are refused', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'msgloop-migrate-'))
  const sides = ['--from', 'memory://one', '--to', 'memory://one', '--state', folder]
  const { exitCode, stderr } = await cli(['migrate', 'plan', 'orders', ...sides])
  expect(exitCode).toBe(1)
  expect(stderr).toMatch(/a migration needs two brokers/)
  await rm(folder, { recursive: true })
})
