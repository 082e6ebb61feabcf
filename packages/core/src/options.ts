import { MsgloopError } from './error.js'

/** @throws MsgloopError `INVALID` naming the first option that is not in `known` */
export function onlyKnown(at: string, options: object, known: readonly string[]): void {
  if (options === null || typeof options !== 'object')
    throw new MsgloopError('INVALID', `${at}: options must be an object`)
  for (const name of Object.keys(options)) {
    if (!known.includes(name))
      throw new MsgloopError('INVALID', `${at}: unknown option "${name}"; there are ${known.join(', ')}`)
  }
}

export function positiveInteger(what: string, value: unknown): number {
  if (Number.isSafeInteger(value) && (value as number) >= 1) return value as number
  throw new MsgloopError('INVALID', `${what} is ${JSON.stringify(value)}; give a whole number ≥ 1`)
}

export function wholeNumber(what: string, value: unknown): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number
  throw new MsgloopError('INVALID', `${what} is ${JSON.stringify(value)}; give a whole number ≥ 0`)
}

export function oneOf<T extends string>(what: string, value: T, allowed: readonly T[]): T {
  if (allowed.includes(value)) return value
  throw new MsgloopError('INVALID', `${what} is ${JSON.stringify(value)}; there are ${allowed.join(', ')}`)
}

export function upTo(most: number, what: string, value: unknown): number {
  const given = positiveInteger(what, value)
  if (given <= most) return given
  throw new MsgloopError('INVALID', `${what} is ${given}; at most ${most} is possible`)
}
