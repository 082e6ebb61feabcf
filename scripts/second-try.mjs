// Runs what failed once more, alone, when everything else is over; ADR 0034 says why. What passes then is
// not forgotten: it stands in the last lines of the run and in .reports/second-try.json.
// Exits 0 when everything passed at last.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { relative } from 'node:path'

/** More than that is no accident. */
const MOST = 12
const PROJECTS = ['unit', 'brokers']
const REPORTS = '.reports/conformance'

const literally = (text) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
const read = (path) => JSON.parse(readFileSync(path, 'utf8'))

/** `name` is undefined where a file failed as a whole, or never reported. */
function failuresOf(project) {
  const path = `.reports/${project}.json`
  if (!existsSync(path)) return []
  const { testResults } = read(path)
  const failures = []
  for (const { name, status, message, assertionResults } of testResults) {
    const file = relative('.', name)
    const failed = assertionResults.filter((each) => each.status === 'failed')
    for (const each of failed)
      failures.push({ project, file, name: each.fullName, error: firstLine(each.failureMessages[0]) })
    if (failed.length === 0 && status === 'failed')
      failures.push({ project, file, error: firstLine(message) })
  }
  const reported = new Set(testResults.map(({ name }) => relative('.', name)))
  const listed = spawnSync('vitest', ['list', '--filesOnly', '--json', '--project', project], {
    encoding: 'utf8',
  })
  for (const { file } of JSON.parse(listed.stdout || '[]'))
    if (!reported.has(relative('.', file)))
      failures.push({ project, file: relative('.', file), error: 'its worker ended without a report' })
  return failures
}

const firstLine = (text) => (text ?? 'no reason was given').split('\n')[0]

function tryAgain(project, file, failures) {
  const output = `.reports/second-${project}.json`
  const names = failures.flatMap(({ name }) => name ?? [])
  const args = ['run', '--project', project, '--maxWorkers', '1', '--reporter=default', '--reporter=json']
  args.push(`--outputFile.json=${output}`, file)
  if (names.length === failures.length) args.push('-t', `^(${names.map(literally).join('|')})$`)
  const { status } = spawnSync('vitest', args, { stdio: 'inherit' })
  const report = read(output)
  // A pattern that matches nothing passes, too.
  const passed = status === 0 && report.numPassedTests >= failures.length
  return failures.map((failure) => ({ ...failure, passed, tests: report.numPassedTests }))
}

const failures = PROJECTS.flatMap(failuresOf)
if (failures.length === 0 || failures.length > MOST) process.exit(1)
process.stdout.write(`\n${failures.length} failed; once more, alone:\n`)
const tries = []
// A report of conformance belongs to a whole run.
if (existsSync(REPORTS)) cpSync(REPORTS, `${REPORTS}-first`, { recursive: true })
for (const project of PROJECTS) {
  const files = new Set(failures.filter((each) => each.project === project).map(({ file }) => file))
  for (const file of files)
    tries.push(
      ...tryAgain(
        project,
        file,
        failures.filter((each) => each.file === file),
      ),
    )
}
if (existsSync(`${REPORTS}-first`)) {
  cpSync(`${REPORTS}-first`, REPORTS, { recursive: true, force: true })
  rmSync(`${REPORTS}-first`, { recursive: true })
}
writeFileSync('.reports/second-try.json', JSON.stringify(tries, undefined, 2))
process.exitCode = tries.every(({ passed }) => passed) ? 0 : 1
