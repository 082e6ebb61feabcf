/** What came of everything that was sent: three independent counts, by message id. */
export interface Counts {
  /** Ids for which `send` resolved. */
  readonly sent: readonly string[]
  /** One id for each e-mail that went out; twice where one went out twice. */
  readonly mailed: readonly string[]
  /** Ids that the broker shows in the dead-letter queue. */
  readonly dead: readonly string[]
}

export interface Balance {
  readonly sent: number
  readonly processed: number
  /** Effects in all: more than `processed` where some happened twice. */
  readonly effects: number
  readonly dead: number
  /** Ids whose effect happened more than once. */
  readonly duplicates: readonly string[]
  /** Sent, and neither processed nor dead. */
  readonly lost: readonly string[]
  /** Both processed and dead. */
  readonly twofold: readonly string[]
  /** Processed or dead, and never sent. */
  readonly strange: readonly string[]
  /** Whether sent = processed + dead, message by message. */
  readonly even: boolean
}

export function balance({ sent, mailed, dead }: Counts): Balance {
  const known = new Set(sent)
  const processed = new Set(mailed)
  const buried = new Set(dead)
  const lost = [...known].filter((id) => !processed.has(id) && !buried.has(id))
  const twofold = [...processed].filter((id) => buried.has(id))
  const strange = [...new Set([...mailed, ...dead])].filter((id) => !known.has(id))
  return {
    sent: known.size,
    processed: processed.size,
    effects: mailed.length,
    dead: buried.size,
    duplicates: [...processed].filter((id) => mailed.indexOf(id) !== mailed.lastIndexOf(id)),
    lost,
    twofold,
    strange,
    even: lost.length === 0 && twofold.length === 0 && strange.length === 0,
  }
}

/** 0 when the balance is even, else 1. */
export function exitCodeOf({ even }: Balance): 0 | 1 {
  return even ? 0 : 1
}
