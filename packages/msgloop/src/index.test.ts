import { readFile } from 'node:fs/promises'
import * as core from '@msgloop/core'
import { expect, test } from 'vitest'
import * as msgloop from './index.js'

async function exportedNames(path: string): Promise<string[]> {
  const source = await readFile(new URL(path, import.meta.url), 'utf8')
  const lists = [...source.matchAll(/export (?:type )?\{([^}]*)\}/g)].map(([, list = '']) => list)
  return lists.flatMap((list) => list.split(',').map((name) => name.trim())).filter((name) => name !== '')
}

test('every name of the core, connect and openDriver can be imported from msgloop', async () => {
  const names = await exportedNames('../../core/src/index.ts')
  expect(names).toContain('Broker')
  expect((await exportedNames('./index.ts')).sort()).toEqual(
    [...names, 'connect', 'ConnectOptions', 'openDriver'].sort(),
  )
})

test('its values are the very ones of the core', () => {
  const { connect, openDriver, ...rest } = msgloop
  expect(connect).toBeTypeOf('function')
  expect(openDriver).toBeTypeOf('function')
  expect(rest).toEqual({ ...core })
})
