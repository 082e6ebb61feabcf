import { once } from 'node:events'
import { expect, test } from 'vitest'
import { flow, onFlow } from './flow.js'

test('a listener that throws is told of once, and goes on being called', async () => {
  let calls = 0
  const stop = onFlow(() => {
    calls++
    throw new Error('listener')
  })
  const warnings: Error[] = []
  const note = (warning: Error): void => void warnings.push(warning)
  process.on('warning', note)
  for (let n = 0; n < 3; n++) flow.publish({ step: 'sent' })
  await once(process, 'warning')
  // Warnings are emitted in order, one a tick: this one comes after all of those.
  process.emitWarning('the last')
  await once(process, 'warning')
  process.off('warning', note)
  stop()
  expect(calls).toBe(3)
  expect(warnings.map(({ message }) => message)).toEqual(['a listener of onFlow threw: listener', 'the last'])
})
