import { setTimeout as sleep } from 'node:timers/promises'

/** The mail server says 550: trying again is pointless. */
export class NoSuchMailbox extends Error {
  override readonly name = 'NoSuchMailbox'
}

/** The mail server says 451: it wants to see the same mail again later. */
export class Greylisted extends Error {
  override readonly name = 'Greylisted'
}

export interface Email {
  readonly id: string
  readonly date: Date | undefined
  readonly to: string
  readonly text: string
  readonly signal: AbortSignal
}

export interface Smtp {
  /** Resolves when the receiving server has accepted the e-mail. */
  send(email: Email): Promise<void>
}

/** Refuses every e-mail younger than this: less than three backoffs, so the fourth attempt gets through. */
const GREYLIST_MS = 600

/** Stands in for the mail servers of the world. `accepted` is told of each e-mail that really went out. */
export function pretendSmtp(accepted: (id: string) => void): Smtp {
  return {
    async send({ id, date, to, signal }) {
      await sleep(40 + 80 * Math.random(), undefined, { signal })
      if (to.endsWith('.invalid')) throw new NoSuchMailbox('550 no such mailbox')
      const age = Date.now() - (date?.getTime() ?? 0)
      if (to.endsWith('@grey.example') && age < GREYLIST_MS) throw new Greylisted('451 greylisted')
      accepted(id)
    },
  }
}
