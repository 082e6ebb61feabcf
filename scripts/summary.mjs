// Adds up vitest's JSON reports and prints what failed, what passed only at its second try, and last one line:
// `N passed, N failed[, N skipped]`. A report that is missing because its suite was not run counts for nothing.
import { existsSync, readFileSync } from 'node:fs'
import { relative } from 'node:path'

const say = (line) => process.stdout.write(`${line}\n`)
const read = (path) => (existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined)

const sum = { passed: 0, failed: 0, skipped: 0 }
const failed = []
for (const path of ['.reports/unit.json', '.reports/brokers.json']) {
  const report = read(path)
  if (!report) continue
  sum.passed += report.numPassedTests
  sum.failed += report.numFailedTests
  sum.skipped += report.numPendingTests + report.numTodoTests
  for (const { name, status, assertionResults } of report.testResults) {
    const file = relative('.', name)
    for (const each of assertionResults)
      if (each.status === 'failed') failed.push(`${file} > ${each.fullName}`)
    // A file that could not even be loaded has no tests to fail.
    if (status === 'failed' && assertionResults.length === 0) {
      sum.failed++
      failed.push(file)
    }
  }
}
const again = (read('.reports/second-try.json') ?? []).filter(({ passed }) => passed)
for (const { file, name, error } of again) {
  const title = name === undefined ? file : `${file} > ${name}`
  const at = failed.indexOf(title)
  if (at >= 0) {
    failed.splice(at, 1)
    sum.failed--
    sum.passed++
  }
  say(`FLAKY, passed only at its second try, alone: ${title}\n  first: ${error}`)
}
for (const title of failed) say(`FAILED: ${title}`)
say(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`)
process.exitCode = sum.failed > 0 || sum.passed === 0 ? 1 : 0
