import { memoryHarness } from '../test-support.js'
import { describeConformance } from './vitest.js'

describeConformance('memory as sqs', () => memoryHarness({ emulate: 'sqs' }))
describeConformance('memory as nats', () => memoryHarness({ emulate: 'nats' }))
