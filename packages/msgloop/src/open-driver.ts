import { MsgloopError } from '@msgloop/core'
import type { Driver } from '@msgloop/core/driver'
import { DriverError } from '@msgloop/core/driver'
import type { Adapter } from './adapters.js'
import { ADAPTERS } from './adapters.js'

/**
 * The driver for a URL. Nothing is connected yet.
 *
 * No message repeats more of the URL than its scheme: what else is in it may be a password, all the
 * more where it is malformed.
 *
 * @throws MsgloopError `INVALID` for an unknown scheme or a bad URL; `ADAPTER_MISSING`
 */
export async function openDriver(url: string): Promise<Driver> {
  const adapter = adapterFor(url)
  try {
    return await adapter.open(url)
  } catch (error) {
    throw explained(adapter, error)
  }
}

function adapterFor(url: string): Adapter {
  const schemes = ADAPTERS.flatMap((adapter) => adapter.schemes)
  const choice = `give a URL that begins with ${schemes.join(', ')}`
  const example = 'such as memory: or amqp://localhost:5672'
  const scheme = typeof url === 'string' ? /^[a-z][a-z0-9+.-]*:/i.exec(url)?.[0].toLowerCase() : undefined
  if (scheme === undefined)
    throw new MsgloopError('INVALID', `connect: the broker's URL has no scheme; ${choice}, ${example}`)
  const adapter = ADAPTERS.find((each) => each.schemes.includes(scheme))
  if (adapter) return adapter
  throw new MsgloopError('INVALID', `connect: there is no adapter for "${scheme}"; ${choice}, ${example}`)
}

function explained({ package: name }: Adapter, error: unknown): MsgloopError {
  if (error instanceof DriverError)
    return new MsgloopError(error.code, `connect: ${error.message}`, { cause: error })
  if (isMissing(name, error))
    return new MsgloopError('ADAPTER_MISSING', `connect: ${name} is not installed; npm install ${name}`, {
      cause: error,
    })
  const reason = error instanceof Error ? error.message : String(error)
  return new MsgloopError('UNKNOWN', `connect: cannot load ${name}: ${reason}`, { cause: error })
}

/** Whether it is this very package that could not be found, and not one that it needs. */
function isMissing(name: string, error: unknown): boolean {
  if (!(error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND')) return false
  return error.message.startsWith(`Cannot find package '${name}'`)
}
