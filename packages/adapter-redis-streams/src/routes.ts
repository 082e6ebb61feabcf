import { subjectMatcher } from '@msgloop/core/driver'
import { type Keys, keysOf, REVISION } from './keys.js'
import { type Fields, mapOf } from './topology.js'

/** Subjects whose routes are remembered; the next one begins anew. */
const MOST_SUBJECTS = 1_000

/** Which subscriptions a subject reaches, as of one revision: the portable matcher decides, not the server. */
export class Routes {
  readonly revision: string
  readonly #subscriptions: readonly { readonly keys: Keys; matches(subject: string): boolean }[]
  readonly #known = new Map<string, readonly Keys[]>()

  /** Of the hash that `routesKeyOf` names. */
  constructor(prefix: string, topic: string, fields: Fields) {
    const { [REVISION]: revision, ...patterns } = Object.fromEntries(mapOf(fields))
    this.revision = revision ?? ''
    this.#subscriptions = Object.entries(patterns).map(([name, texts]) => ({
      keys: keysOf(prefix, name, topic),
      matches: subjectMatcher(texts.split(' ')),
    }))
  }

  of(subject: string): readonly Keys[] {
    const known = this.#known.get(subject)
    if (known) return known
    const found = this.#subscriptions.filter(({ matches }) => matches(subject)).map(({ keys }) => keys)
    if (this.#known.size >= MOST_SUBJECTS) this.#known.clear()
    this.#known.set(subject, found)
    return found
  }
}
