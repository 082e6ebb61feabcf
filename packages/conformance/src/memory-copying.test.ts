import { memoryHarness } from '../test-support.js'
import { describeConformance } from './vitest.js'

describeConformance('memory as rabbitmq', () => memoryHarness({ emulate: 'rabbitmq' }))
describeConformance('memory as redis-streams', () => memoryHarness({ emulate: 'redis-streams' }))
