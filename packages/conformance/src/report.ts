import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

export type CaseStatus = 'passed' | 'failed' | 'skipped'

export interface CaseResult {
  readonly id: string
  readonly clauses: readonly string[]
  readonly name: string
  readonly status: CaseStatus
  /** Why it was skipped, what was expected and what was seen, or what it only passed at the second try. */
  readonly reason?: string
  readonly ms: number
  /** What a failed case threw first. Not part of the JSON. */
  readonly error?: unknown
}

/** One run of the suite against one broker. */
export interface Report {
  readonly adapter: string
  readonly version: string
  /** ISO time. */
  readonly startedAt: string
  readonly node: string
  readonly results: readonly CaseResult[]
}

/** JSON of a report: everything but the native errors. */
export function toJson(report: Report): string {
  const results = report.results.map(({ error: _, ...result }) => result)
  return `${JSON.stringify({ ...report, results }, null, 2)}\n`
}

/** @throws TypeError when the text is not a report */
export function parseReport(text: string): Report {
  const value: unknown = JSON.parse(text)
  if (!isReport(value)) throw new TypeError('this is not the JSON of a conformance report')
  return value
}

export async function writeReport(path: string, report: Report): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, toJson(report))
}

export async function readReports(paths: readonly string[]): Promise<Report[]> {
  return await Promise.all(paths.map(async (path) => parseReport(await readFile(path, 'utf8'))))
}

/**
 * One table, a row per case and a column per adapter, with the reasons of everything that did not
 * simply pass below it. A later report of the same adapter and version replaces an earlier one.
 */
export function toMarkdown(reports: readonly Report[]): string {
  const columns = [...new Map(reports.map((report) => [title(report), report])).values()]
  const rows = new Map<string, CaseResult>()
  for (const { results } of columns) for (const result of results) rows.set(result.id, result)
  const cells = columns.map(({ results }) => new Map(results.map((result) => [result.id, result])))

  const lines = [
    `| Case | Clauses | Behaviour | ${columns.map((report) => cell(title(report))).join(' | ')} |`,
    `|---|---|---|${columns.map(() => '---|').join('')}`,
    ...[...rows.values()].map(
      ({ id, clauses, name }) =>
        `| \`${id}\` | ${clauses.join(' ')} | ${cell(name)} | ${cells.map((column) => mark(column.get(id))).join(' | ')} |`,
    ),
    '',
    ...columns.map(summary),
  ]
  for (const report of columns) lines.push(...remarks(report))
  return `${lines.join('\n')}\n`
}

function title({ adapter, version }: Report): string {
  return version === '' ? adapter : `${adapter} ${version}`
}

function mark(result: CaseResult | undefined): string {
  if (!result) return '–'
  if (result.status === 'skipped') return 'skipped'
  return `${result.status === 'passed' ? 'pass' : '**FAIL**'} ${result.ms} ms`
}

function summary(report: Report): string {
  const count = (status: CaseStatus): number =>
    report.results.filter((result) => result.status === status).length
  return `- ${title(report)}, ${report.startedAt}, Node ${report.node}: ${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped.`
}

function remarks(report: Report): string[] {
  const noted = report.results.filter(({ status, reason }) => status !== 'passed' || reason !== undefined)
  if (noted.length === 0) return []
  return [
    '',
    `### ${title(report)}: what did not simply pass, and why`,
    '',
    ...noted.map(
      (result) => `- \`${result.id}\` ${result.status}: ${cell(result.reason ?? 'no reason given')}`,
    ),
  ]
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll(/\s*\n\s*/g, ' ')

const STATUSES: readonly unknown[] = ['passed', 'failed', 'skipped'] satisfies CaseStatus[]

function isReport(value: unknown): value is Report {
  if (!isObject(value) || !Array.isArray(value.results)) return false
  const texts = ['adapter', 'version', 'startedAt', 'node'].every((key) => typeof value[key] === 'string')
  return (
    texts &&
    value.results.every(
      (result: unknown) =>
        isObject(result) &&
        typeof result.id === 'string' &&
        typeof result.name === 'string' &&
        typeof result.ms === 'number' &&
        Array.isArray(result.clauses) &&
        STATUSES.includes(result.status),
    )
  )
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
