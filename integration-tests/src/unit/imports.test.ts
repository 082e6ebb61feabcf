import { describe, expect, test } from 'vitest'
import type { SourceFile } from './source-tree.js'
import { resolveImport, sourceFiles } from './source-tree.js'

const files = sourceFiles()
const sources = files.filter((file) => !file.isTest)

/** Who may import whom, besides Node and itself. `docs/architecture.md` says why. */
const ALLOWED: Readonly<Record<string, readonly RegExp[]>> = {
  core: [],
  'adapter-memory': [/^@msgloop\/core\/driver$/],
  'adapter-nats': [/^@msgloop\/core\/driver$/, /^@nats-io\//],
  'adapter-rabbitmq': [/^@msgloop\/core\/driver$/, /^amqplib$/],
  'adapter-redis-streams': [/^@msgloop\/core\/driver$/, /^ioredis$/],
  'adapter-sqs': [/^@msgloop\/core\/driver$/, /^@aws-sdk\/client-s[qn]s$/, /^@smithy\/node-http-handler$/],
  // `vitest.ts` is the glue to one runner; nothing else may know one.
  conformance: [/^@msgloop\/core(\/driver)?$/],
  migrate: [/^@msgloop\/core(\/driver|\/engine)?$/],
  // Types alone: the pool is the application's.
  postgres: [/^@msgloop\/core(\/driver|\/engine)?$/, /^pg$/],
  redis: [/^@msgloop\/core$/, /^ioredis$/],
  msgloop: [
    /^@msgloop\/core(\/driver|\/engine)?$/,
    /^@msgloop\/(conformance|migrate)$/,
    /^@msgloop\/adapter-/,
    /^@bomb\.sh\/tab\/commander$/,
    /^@inquirer\/confirm$/,
    /^cli-progress$/,
    /^commander$/,
    /^picocolors$/,
    /^cli-table3$/,
    /^valibot$/,
  ],
}

const outside = (file: SourceFile): string[] =>
  file.imports.filter((name) => !name.startsWith('.') && !name.startsWith('node:'))

describe('imports', () => {
  test('the scan sees the packages and their imports', () => {
    expect(new Set(sources.map((file) => file.package))).toEqual(new Set(Object.keys(ALLOWED)))
    const wire = sources.find((file) => file.path === 'packages/adapter-rabbitmq/src/sender.ts')
    expect(wire?.imports).toContain('@msgloop/core/driver')
    expect(wire?.imports).toContain('amqplib')
  })

  test.each(Object.entries(ALLOWED))('%s imports only what it may', (name, allowed) => {
    const offences = sources
      .filter((file) => file.package === name)
      .flatMap((file) => outside(file).map((specifier) => ({ file: file.path, specifier })))
      .filter(
        ({ file, specifier }) => !(file.endsWith('conformance/src/vitest.ts') && specifier === 'vitest'),
      )
      .filter(({ specifier }) => !allowed.some((pattern) => pattern.test(specifier)))
    expect(offences).toEqual([])
  })

  test('adapters are imported only when a URL asks for them', () => {
    const eager = sources
      .filter((file) => file.package === 'msgloop' && !file.path.includes('/demo/'))
      .filter((file) => /^\s*(import|export) (?!type)[^(]*from '@msgloop\/adapter-/m.test(file.text))
      .map((file) => file.path)
    expect(eager).toEqual([])
  })

  test('the SPI imports nothing but its own capabilities', () => {
    const importsOf = (name: string): readonly string[] | undefined =>
      sources.find((file) => file.path === `packages/core/src/${name}.ts`)?.imports
    expect(importsOf('driver')).toEqual(['./capabilities.js'])
    expect(importsOf('capabilities')).toEqual(['./driver.js'])
  })

  test('no file imports itself by way of others', () => {
    const graph = new Map(
      sources.map((file) => [
        file.path,
        // Types are gone at run time, so a cycle of types alone is none.
        valueImports(file)
          .filter((name) => name.startsWith('.'))
          .map((name) => resolveImport(file, name)),
      ]),
    )
    const cycles: string[] = []
    const done = new Set<string>()
    const visit = (path: string, trail: readonly string[]): void => {
      if (trail.includes(path)) cycles.push([...trail.slice(trail.indexOf(path)), path].join(' → '))
      if (done.has(path) || trail.includes(path)) return
      for (const next of graph.get(path) ?? []) visit(next, [...trail, path])
      done.add(path)
    }
    for (const path of graph.keys()) visit(path, [])
    expect(cycles).toEqual([])
  })
})

function valueImports(file: SourceFile): string[] {
  const types = new Set(
    [...file.text.matchAll(/(?:^|\n)(?:import|export) type [^'"]*from\s*'([^']+)'/g)].map(
      (match) => match[1],
    ),
  )
  const values = new Set(
    [...file.text.matchAll(/(?:^|\n)(?:import|export) (?!type )[^'"]*from\s*'([^']+)'/g)].map(
      (match) => match[1],
    ),
  )
  return file.imports.filter((name) => values.has(name) || !types.has(name))
}
