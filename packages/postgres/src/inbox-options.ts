import { MsgloopError } from '@msgloop/core'
import type { PostgresInboxOptions } from './inbox.js'

const KNOWN: readonly (keyof PostgresInboxOptions)[] = [
  'name',
  'schema',
  'tables',
  'keep',
  'isolation',
  'connectTimeout',
  'transactions',
]
const TABLES: readonly unknown[] = ['migrate', 'verify']
const ISOLATIONS: readonly unknown[] = ['read committed', 'repeatable read', 'serializable']

/** @throws MsgloopError `INVALID` */
export function checkOptions(options: PostgresInboxOptions<never> | PostgresInboxOptions): void {
  knownOnly('postgresInbox', options, KNOWN)
  const { tables, isolation, transactions } = options
  if (tables !== undefined && !TABLES.includes(tables))
    throw new MsgloopError('INVALID', "postgresInbox: option \"tables\" takes 'migrate' or 'verify'")
  if (isolation !== undefined && !ISOLATIONS.includes(isolation))
    throw new MsgloopError(
      'INVALID',
      "postgresInbox: option \"isolation\" takes 'read committed', 'repeatable read' or 'serializable'",
    )
  if (transactions === undefined) return
  if (typeof transactions?.run !== 'function' || typeof transactions.query !== 'function')
    throw new MsgloopError('INVALID', 'postgresInbox: option "transactions" takes { run, query }')
  if (isolation !== undefined)
    throw new MsgloopError('INVALID', 'postgresInbox: set the isolation where "transactions" begins them')
}

/** @throws MsgloopError `INVALID` */
export function knownOnly(at: string, options: object, known: readonly string[]): void {
  if (options === null || typeof options !== 'object')
    throw new MsgloopError('INVALID', `${at}: options must be an object`)
  for (const name of Object.keys(options))
    if (!known.includes(name))
      throw new MsgloopError('INVALID', `${at}: unknown option "${name}"; there are ${known.join(', ')}`)
}

/** The name of an inbox or outbox. @throws MsgloopError `INVALID` */
export function checkName(at: string, name: string): string {
  if (typeof name === 'string' && /^[\x20-\x7e]{1,100}$/.test(name)) return name
  throw new MsgloopError('INVALID', `${at}: option "name" must be 1 to 100 printable ASCII characters`)
}
