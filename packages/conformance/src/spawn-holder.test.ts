import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { spawnHolder } from './spawn-holder.js'

const program = fileURLToPath(new URL('../test-holder.mjs', import.meta.url))

test('a holding process says which message it holds, and ends by SIGTERM once it has let go of it', async () => {
  const holder = spawnHolder(program, ['q1'])
  expect(await holder.started).toBe('held-in-q1')
  expect(await holder.terminate()).toBe('SIGTERM')
})

test('a holding process is gone when kill resolves, and can be killed twice', async () => {
  const holder = spawnHolder(program, ['q2'])
  await holder.started
  await holder.kill()
  await holder.kill()
  expect(await holder.terminate()).toBe('SIGKILL')
})

test('a process that ends before it holds a message fails with what it wrote', async () => {
  const holder = spawnHolder(fileURLToPath(new URL('../no-such-program.mjs', import.meta.url)), [])
  await expect(holder.started).rejects.toThrow(/ended with 1 .*no-such-program/s)
})
