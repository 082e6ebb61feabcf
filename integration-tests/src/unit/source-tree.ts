import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

export interface SourceFile {
  /** From the root of the repository. */
  readonly path: string
  /** `core`, `adapter-memory`, … */
  readonly package: string
  readonly isTest: boolean
  readonly text: string
  readonly imports: readonly string[]
}

/** Every TypeScript file of the packages. */
export function sourceFiles(): SourceFile[] {
  const packages = readdirSync(join(ROOT, 'packages'))
  const paths = packages.flatMap((name) =>
    readdirSync(join(ROOT, 'packages', name, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .map((path) => `packages/${name}/src/${path}`),
  )
  return paths.map((path) => {
    const text = readFileSync(join(ROOT, path), 'utf8')
    return {
      path,
      package: path.split('/')[1] ?? '',
      isTest: path.endsWith('.test.ts') || path.includes('/testing/'),
      text,
      imports: importsOf(text),
    }
  })
}

/** A relative import as a path from the root. */
export function resolveImport(from: SourceFile, specifier: string): string {
  return relative(ROOT, join(ROOT, dirname(from.path), specifier)).replace(/\.js$/, '.ts')
}

function importsOf(text: string): string[] {
  const found = text.matchAll(
    /(?:^|\n)\s*(?:import|export)\b[^'"\n;]*?(?:\{[^}]*\}[^'"\n]*?)?from\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)|(?:^|\n)import\s+['"]([^'"]+)['"]/g,
  )
  return [...found].map((match) => match[1] ?? match[2] ?? match[3] ?? '')
}
