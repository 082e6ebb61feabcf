import type { Case } from '../case.js'
import { atMostOnceCases } from './at-most-once.js'
import { batchCases } from './batches.js'
import { capabilityCases } from './capabilities.js'
import { closeCases } from './close.js'
import { crashCases } from './crash.js'
import { deadLetterEditCases } from './dead-letter-edit.js'
import { deadLetterListCases } from './dead-letter-list.js'
import { deadLetterWorkCases } from './dead-letter-work.js'
import { deadLetterCases } from './dead-letters.js'
import { errorCases } from './errors.js'
import { exactlyOnceCases } from './exactly-once.js'
import { exactlyOnceTroubleCases } from './exactly-once-trouble.js'
import { flowCases } from './flow.js'
import { hostileCodeCases } from './hostile-code.js'
import { laneCases } from './lanes.js'
import { leaseCases } from './lease.js'
import { lifecycleCases } from './lifecycle.js'
import { messageCases } from './message.js'
import { networkCases } from './network.js'
import { orderCases } from './order.js'
import { orderUnderChangeCases } from './order-under-change.js'
import { quarantineCases } from './quarantine.js'
import { receiveCases } from './receive.js'
import { receiveUnstorableCases } from './receive-unstorable.js'
import { replayCases } from './replay.js'
import { replayCanaryCases } from './replay-canary.js'
import { replaySharedCases } from './replay-shared.js'
import { requestCases } from './request.js'
import { requestForeignCases } from './request-foreign.js'
import { retryCases } from './retry.js'
import { retryWaitCases } from './retry-wait.js'
import { sendCases } from './send.js'
import { sendBoundCases } from './send-bounds.js'
import { sendRefusalCases } from './send-refusals.js'
import { settleCases } from './settle.js'
import { topicIsolationCases } from './topic-isolation.js'
import { topicMessageCases } from './topic-messages.js'
import { topicRoutingCases } from './topic-routing.js'
import { topicCases } from './topics.js'
import { topologyCases } from './topology.js'
import { underChangeCases } from './under-change.js'
import { unreadableCases } from './unreadable.js'
import { waitingCases } from './waiting.js'

/** Every case. The last one judges the whole run, so it stays last. */
export const cases: readonly Case[] = [
  ...sendCases,
  ...sendRefusalCases,
  ...sendBoundCases,
  ...messageCases,
  ...unreadableCases,
  ...hostileCodeCases,
  ...receiveCases,
  ...receiveUnstorableCases,
  ...settleCases,
  ...leaseCases,
  ...crashCases,
  ...retryCases,
  ...retryWaitCases,
  ...underChangeCases,
  ...deadLetterCases,
  ...deadLetterListCases,
  ...replayCases,
  ...replaySharedCases,
  ...replayCanaryCases,
  ...quarantineCases,
  ...deadLetterWorkCases,
  ...deadLetterEditCases,
  ...waitingCases,
  ...topicRoutingCases,
  ...topicCases,
  ...topicIsolationCases,
  ...topicMessageCases,
  ...requestCases,
  ...requestForeignCases,
  ...exactlyOnceCases,
  ...exactlyOnceTroubleCases,
  ...orderCases,
  ...orderUnderChangeCases,
  ...laneCases,
  ...atMostOnceCases,
  ...batchCases,
  ...closeCases,
  ...lifecycleCases,
  ...networkCases,
  ...capabilityCases,
  ...topologyCases,
  ...flowCases,
  ...errorCases,
]
