/** Whatever application code may throw, by a name. */
export function hostile(kind: string): unknown {
  const trap = (): never => {
    throw new Error('a trap')
  }
  switch (kind) {
    case 'undefined':
      return undefined
    case 'null':
      return null
    case 'string':
      return 'just text'
    case 'number':
      return 0
    case 'frozen':
      return Object.freeze(new Error('frozen'))
    case 'getters':
      return Object.create(Error.prototype, {
        message: { get: trap },
        stack: { get: trap },
        name: { get: trap },
      })
    case 'no-text':
      return Object.create(null)
    case 'symbol':
      return Symbol('thrown')
    case 'proxy':
      return new Proxy({}, { get: trap, getPrototypeOf: trap, has: trap, ownKeys: trap })
    case 'cause':
      return Object.assign(new Error('loop'), { cause: undefined, self: undefined })
    default:
      return new Error(kind)
  }
}

/** Of many alike only the first may be put into words, so one that has none comes first. */
export const HOSTILE: readonly string[] = [
  'no-text',
  'undefined',
  'null',
  'string',
  'number',
  'frozen',
  'getters',
  'symbol',
  'proxy',
  'cause',
]
