import type { Case } from '../case.js'

type Skip = NonNullable<Case['skip']>

export const needsDisconnect: Skip = (_, harness) =>
  harness.disconnect ? undefined : 'the harness cannot cut connections'

export const needsOutage: Skip = (_, harness) =>
  harness.outage ? undefined : 'the harness cannot make the broker unreachable'

export const needsForeign: Skip = (_, harness) =>
  harness.sendForeign ? undefined : 'the harness has no other client to send with'

export const needsDrifted: Skip = (_, harness) =>
  harness.declareDrifted ? undefined : 'the harness cannot make a queue with other settings'

export const needsProcess: Skip = (_, harness) =>
  harness.spawnConsumer ? undefined : 'the harness cannot run a consumer in a process of its own'

export const needsTopics: Skip = ({ topics }, harness) =>
  topics ? undefined : (harness.noTopics ?? 'the broker has no topics')

export const needsReplies: Skip = ({ replies }) => (replies ? undefined : 'the broker has no request-reply')

export const needsInbox: Skip = (_, harness) => (harness.inbox ? undefined : 'the harness has no inbox')

export const needsInboxTransaction: Skip = (_, harness) =>
  harness.inbox ? harness.inbox.apart : 'the harness has no inbox'

export const needsOrder: Skip = (_, harness) => harness.unordered

export const needsOrderByKey: Skip = ({ order }) =>
  order === 'none' ? 'the broker has no order by key' : undefined

export const needsRenewable: Skip = ({ lease }) =>
  lease === 'renewable' ? undefined : 'a lease lasts as long as the connection here'

export const needsConnectionLease: Skip = ({ lease }) =>
  lease === 'connection' ? undefined : 'a lease outlives its connection here'

/** The first reason of several. */
export function all(...skips: readonly Skip[]): Skip {
  return (capabilities, harness) => {
    for (const skip of skips) {
      const reason = skip(capabilities, harness)
      if (reason !== undefined) return reason
    }
    return undefined
  }
}
