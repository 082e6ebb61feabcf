import { createHash } from 'node:crypto'
import type { Mark } from './inbox.js'

/** Ids of our own clients are this. */
const PLAIN = /^[\x21-\x7e]{1,128}$/

/**
 * The mark of a message. A foreign client may give any string as an id, longer than a column or with characters
 * that no database takes: then its hash stands for it. The space keeps hashes apart from plain ids.
 */
export function markOf(queue: string, id: string): Mark {
  if (PLAIN.test(id)) return { queue, id }
  return { queue, id: `sha256 ${createHash('sha256').update(id, 'utf16le').digest('hex')}` }
}
