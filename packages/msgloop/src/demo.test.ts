import { expect, test } from 'vitest'
import { cli } from '../test-support.js'

const LIMIT_MS = 30_000
const ESCAPE = '\u001b['

test('the demo loses nothing on memory, and shows it', { timeout: LIMIT_MS }, async () => {
  const { exitCode, stdout, stderr } = await cli(['demo'])
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
  expect(stdout).toContain('✓ 28 sent = 26 processed + 2 dead: nothing is lost')
  expect(stdout).toMatch(/retry in \d+ ms/)
  expect(stdout).toMatch(/C killed → [AB] ✓ \d+ ms, delivery 2/)
  expect(stdout).toMatch(/! sent twice: mail-\d\d\n/)
  expect(stdout).toMatch(/would move 4: 1 invalid, 1 rejected, 2 exhausted/)
  expect(stdout.match(/replayed from the dead-letter queue → [AB] ✓/g)).toHaveLength(2)
  expect(stdout).toMatch(/dead {7}2 {2}mail-00 invalid, mail-04 rejected/)
  expect(stdout).not.toContain(ESCAPE)
  expect(stdout.split('\n').filter((line) => line.length > 100)).toEqual([])
})

test('the demo comes out even with the limits of another broker too', { timeout: LIMIT_MS }, async () => {
  const { exitCode, stdout } = await cli(['demo', 'memory:?emulate=rabbitmq'], { FORCE_COLOR: '1' })
  expect(exitCode).toBe(0)
  expect(stdout).toContain('28 sent = 26 processed + 2 dead')
  expect(stdout).toContain(ESCAPE)
})

test.each(['SIGINT', 'SIGTERM'] as const)('%s ends the demo cleanly', { timeout: LIMIT_MS }, async (name) => {
  let sent = false
  const { exitCode, stdout, stderr } = await cli(['demo'], {}, (output, signal) => {
    if (sent || !output.includes('mail-01')) return
    sent = true
    signal(name)
  })
  expect({ exitCode, stderr }).toEqual({ exitCode: 130, stderr: 'msgloop: interrupted; cleaning up\n' })
  expect(stdout).not.toContain('Balance')
})
