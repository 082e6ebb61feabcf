// Writes docs/conformance.md from the reports of the last run of `pnpm test`.
import { readdirSync, writeFileSync } from 'node:fs'
import { readReports, toMarkdown } from '../packages/conformance/dist/index.js'

const folder = '.reports/conformance'
const files = readdirSync(folder).filter((name) => name.endsWith('.json'))
const reports = await readReports(files.sort().map((name) => `${folder}/${name}`))
const order = (report) => (report.adapter === 'memory' ? `0` : report.adapter + report.version)
reports.sort((a, b) => order(a).localeCompare(order(b)))
writeFileSync(
  'docs/conformance.md',
  `# Conformance

Generated from a real run by \`pnpm conformance:report\`; not edited by hand. What the cases mean:
[the contract](semantics.md); how they run: [the suite](conformance-suite.md).

${toMarkdown(reports)}`,
)
