import { expect, test } from 'vitest'
import { sourceFiles } from './source-tree.js'

const files = sourceFiles()
const sources = files.filter((file) => !file.isTest)
const lines = (text: string): number => text.split('\n').length

test('no source file is longer than 400 lines, no test longer than 500', () => {
  const long = files.filter((file) => lines(file.text) > (file.isTest ? 500 : 400)).map((file) => file.path)
  expect(long).toEqual([])
})

test.each([
  ['any', /[:<(,|]\s*any\b(?!\[\]\) => unknown)/],
  ['@ts-ignore', /@ts-(ignore|expect-error|nocheck)/],
  ['an abstract class', /\babstract class\b/],
  ['an enum', /^\s*(export )?(const )?enum\b/m],
  ['a default export', /^export default\b/m],
  ['console', /\bconsole\.(log|warn|error|info|debug)\(/],
])('no source file has %s', (_what, pattern) => {
  const code = (text: string): string => text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/.*$/gm, '')
  expect(sources.filter((file) => pattern.test(code(file.text))).map((file) => file.path)).toEqual([])
})
