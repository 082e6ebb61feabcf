import { memoryHarness } from '../test-support.js'
import { describeConformance } from './vitest.js'

describeConformance('memory', () => memoryHarness())
