import { memoryHarness } from '../test-support.js'
import { writeReport } from './report.js'
import { describeConformance } from './vitest.js'

describeConformance('memory', () => memoryHarness(), {
  onReport: (report) => writeReport('.reports/conformance/memory.json', report),
})
