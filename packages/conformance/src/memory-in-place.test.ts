import { memoryHarness } from '../test-support.js'
import { describeConformance } from './vitest.js'

/**
 * What a retry in place has no place for yet: the history of attempts (docs/adr/0003). The adapters that
 * bring such retries must pass these cases; an emulation of their limits alone cannot.
 */
const NEEDS_HISTORY = [
  'T1-exact',
  'T1-new-consumer',
  'T7-manual-retry',
  'T7-retry-if',
  'T7-elapsed',
  'D1-record',
  'D1-bounded',
  'D6-again',
  'W2-while-waiting',
]
const filter = ({ id }: { id: string }): boolean => !NEEDS_HISTORY.includes(id)

describeConformance('memory as sqs', () => memoryHarness({ emulate: 'sqs' }), { filter })
describeConformance('memory as nats', () => memoryHarness({ emulate: 'nats' }), { filter })
