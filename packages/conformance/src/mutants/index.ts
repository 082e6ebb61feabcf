import { connectionMutants } from './connection.js'
import { deadLetterMutants } from './dead-letter.js'
import { honestyMutants } from './honesty.js'
import { leaseMutants } from './lease.js'
import type { Mutant } from './mutant.js'
import { orderMutants } from './order.js'
import { receiveMutants } from './receive.js'
import { replyMutants } from './reply.js'
import { retryMutants } from './retry.js'
import { sendMutants } from './send.js'
import { topicMutants } from './topic.js'

export type { Mutant } from './mutant.js'

/** Drivers broken in one way each. They prove that the cases can fail. */
export const mutants: readonly Mutant[] = [
  ...sendMutants,
  ...receiveMutants,
  ...retryMutants,
  ...deadLetterMutants,
  ...leaseMutants,
  ...connectionMutants,
  ...honestyMutants,
  ...topicMutants,
  ...replyMutants,
  ...orderMutants,
]
export type { InboxMutant } from './inbox.js'
export { inboxMutants } from './inbox.js'
