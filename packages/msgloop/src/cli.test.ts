import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { cli, closedPort } from '../test-support.js'
import { wantsColour } from './terminal.js'

test('a broker that cannot be reached is one line on stderr and exit code 2', async () => {
  const port = await closedPort()
  const { exitCode, stdout, stderr } = await cli(['demo', `amqp://ann:s3cret@127.0.0.1:${port}`])
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
  expect(stderr).toMatch(new RegExp(`^msgloop: .*127\\.0\\.0\\.1:${port}.*\\n$`))
  expect(stderr).not.toMatch(/s3cret|ann:| at .*\.js/)
})

test.each([
  [['demo', 'kafka://host'], /^msgloop: connect: there is no adapter for "kafka:".*\n$/],
  [['demo', '--fast'], /unknown option '--fast'/],
  [['demo', 'memory:', 'again'], /too many arguments/],
  [['dance'], /unknown command 'dance'/],
  [[], /Usage: msgloop/],
])('wrong usage is exit code 2: %j', async (args, message) => {
  const { exitCode, stderr } = await cli(args)
  expect(exitCode).toBe(2)
  expect(stderr).toMatch(message)
})

test('help and version go to stdout with exit code 0', async () => {
  const manifest = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'))
  expect(await cli(['--version'])).toEqual({ exitCode: 0, stdout: `${manifest.version}\n`, stderr: '' })
  const { exitCode, stdout, stderr } = await cli(['demo', '--help'])
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
  expect(stdout).toMatch(/Usage: msgloop demo .*\[url\].*Exit codes:/s)
})

test('colours are for terminals, and NO_COLOR and FORCE_COLOR decide otherwise', () => {
  expect(wantsColour(true, {})).toBe(true)
  expect(wantsColour(false, {})).toBe(false)
  expect(wantsColour(false, { CI: 'true' })).toBe(false)
  expect(wantsColour(true, { TERM: 'dumb' })).toBe(false)
  expect(wantsColour(true, { NO_COLOR: '1', FORCE_COLOR: '1' })).toBe(false)
  expect(wantsColour(true, { NO_COLOR: '' })).toBe(true)
  expect(wantsColour(false, { FORCE_COLOR: '1' })).toBe(true)
  expect(wantsColour(true, { FORCE_COLOR: '0' })).toBe(false)
})
