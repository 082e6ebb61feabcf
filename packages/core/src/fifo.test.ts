import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Fifo } from './fifo.js'

test('takes what was pushed, in order, whatever the mix of pushes, takes and drains', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.nat(3000), fc.constant('take'), fc.constant('drain')), { maxLength: 60 }),
      (steps) => {
        const fifo = new Fifo<number>()
        let model: number[] = []
        let next = 0
        for (const step of steps) {
          if (step === 'take') {
            for (let i = 0; i < 700; i++) {
              expect(fifo.peek()).toBe(model[0])
              expect(fifo.shift()).toBe(model.shift())
            }
          } else if (step === 'drain') {
            expect(fifo.drain()).toEqual(model)
            model = []
          } else
            for (let i = 0; i < Number(step); i++) {
              fifo.push(next)
              model.push(next++)
            }
          expect(fifo.size).toBe(model.length)
        }
      },
    ),
    { numRuns: 50 },
  )
})
