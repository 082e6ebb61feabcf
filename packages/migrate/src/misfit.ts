import type { Capabilities, WireMessage } from '@msgloop/core/driver'
import { userHeaders } from '@msgloop/core/engine'

/** Why a message cannot go to a broker of these abilities; `undefined` when it can, for all that is known before. */
export function misfit({ body, headers }: WireMessage, { limits }: Capabilities): string | undefined {
  if (body.byteLength > limits.bodyBytes)
    return `its body has ${body.byteLength} bytes; at most ${limits.bodyBytes} are possible there`
  const user = Object.entries(userHeaders(headers))
  if (user.length > limits.headerCount)
    return `it has ${user.length} headers; at most ${limits.headerCount} are possible there`
  const size = user.reduce((sum, [name, value]) => sum + name.length + Buffer.byteLength(value), 0)
  if (size > limits.headerBytes)
    return `its headers have ${size} bytes; at most ${limits.headerBytes} are possible there`
  return undefined
}
