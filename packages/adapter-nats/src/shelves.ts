import type { Source } from '@msgloop/core/driver'
import type { JetStreamManager, StoredMsg } from '@nats-io/jetstream'
import { arrivalSubject, partitionSubject, streamOf, subjectOf } from './names.js'
import { type Outlet, subjectFrom } from './outlets.js'

/** Where messages of a queue or subscription lie, for who looks without taking. */
export interface Shelf {
  readonly stream: string
  readonly subject: string
  /** The outlet that what lies here is for, where it lies here for others too. */
  readonly outlet?: Outlet
}

export function shelvesOf(prefix: string, source: Source, outlets: readonly Outlet[]): readonly Shelf[] {
  const stream = streamOf(prefix, source.name)
  const own =
    source.order === 'key'
      ? [partitionSubject(prefix, source.name, '*'), arrivalSubject(prefix, source.name)]
      : [subjectOf(prefix, source.name)]
  return [
    ...own.map((subject) => ({ stream, subject })),
    ...outlets
      .filter(({ topic }) => topic)
      .map((outlet) => ({ stream: outlet.stream, subject: outlet.filter ?? '>', outlet })),
  ]
}

/** The first message on a shelf with this sequence or a later one. */
export async function messageFrom(
  manager: JetStreamManager,
  { stream, subject, outlet }: Shelf,
  sequence: number,
): Promise<StoredMsg | undefined> {
  let from = sequence
  // Up to there it has acked everything that others may still hold here.
  if (outlet) from = Math.max(from, (await floorOf(manager, outlet)) + 1)
  for (;;) {
    const query = { seq: from, next_by_subj: subject }
    const found = await manager.streams.getMessage(stream, query)
    if (!found) return undefined
    if (!outlet?.topic || outlet.topic.wants(subjectFrom(outlet, found.subject) ?? '')) return found
    from = found.seq + 1
  }
}

async function floorOf(manager: JetStreamManager, { stream, consumer }: Outlet): Promise<number> {
  const { ack_floor } = await manager.consumers.info(stream, consumer)
  return ack_floor.stream_seq
}
