import { DriverError } from '@msgloop/core/driver'
import { EMULATED, isEmulated } from './emulate.js'
import type { MemoryOptions } from './memory.js'

/**
 * Options from a URL: `memory:` for a broker of its own, `memory://<name>` for a shared one, each with
 * `?emulate=<broker>`. Pure.
 *
 * @throws DriverError `INVALID` for anything else
 * @example memory(parseMemoryUrl('memory://dev?emulate=rabbitmq'))
 */
export function parseMemoryUrl(url: string): MemoryOptions {
  if (!URL.canParse(url)) throw invalid('it is not a URL')
  const { protocol, hostname, port, username, password, pathname, hash, searchParams } = new URL(url)
  if (protocol !== 'memory:') throw invalid(`its scheme is "${protocol}"`)
  if (username || password || port || hash || (pathname !== '' && pathname !== '/'))
    throw invalid('it has more than a name and a query')
  for (const key of searchParams.keys())
    if (key !== 'emulate')
      throw invalid(`it has an unknown option ${JSON.stringify(key)}; there is "emulate"`)
  const emulate = searchParams.getAll('emulate')
  const [broker] = emulate
  if (emulate.length > 1) throw invalid('it has "emulate" more than once')
  if (broker !== undefined && !isEmulated(broker))
    throw invalid(`option "emulate" is ${JSON.stringify(broker)}; there are ${EMULATED.join(', ')}`)
  return {
    ...(hostname !== '' && { name: hostname }),
    ...(broker !== undefined && { emulate: broker }),
  }
}

/** The URL itself is not told: somebody may have put a password into it. */
function invalid(why: string): DriverError {
  return new DriverError(
    'INVALID',
    `cannot use this memory URL: ${why}; give memory: or memory://<name>?emulate=<broker>`,
  )
}
