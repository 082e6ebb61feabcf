import { partitionOf, type WireMessage } from '@msgloop/core/driver'

/**
 * A queue's name as one token of a subject: what may not be in one, above all the dot, is written `=2E`.
 * Not `%2E`: servers before 2.12 take a percent sign in the name of a stream for a format of theirs, and
 * send ack subjects that the client cannot parse (measured on 2.9.10 and 2.10.27).
 */
export const token = (name: string): string =>
  name.replace(/[^A-Za-z0-9_-]/gu, (char) =>
    [...Buffer.from(char)].map((byte) => `=${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  )

export const streamOf = (prefix: string, queue: string): string => `${prefix}-${token(queue)}`
export const subjectOf = (prefix: string, queue: string): string => `${prefix}.${token(queue)}`

/*
 * The subjects of a queue with order by key. They have three tokens, and what is published to topics has four or
 * more, so that no queue is in the way of a topic, whatever their names.
 */
export const partitionSubject = (prefix: string, queue: string, partition: number | '*'): string =>
  `${subjectOf(prefix, queue)}.${partition}`
/** Where foreign clients send to, and what is moved arrives: nobody has looked at the key yet. */
export const arrivalSubject = subjectOf
export const delayedSubject = (prefix: string, queue: string): string => `${subjectOf(prefix, queue)}.delayed`

/** Notes of how often the first message of a partition was given back. No name of a topic makes such a token. */
export const releasesSubject = (prefix: string, queue: string, partition: number | '*'): string =>
  `${subjectOf(prefix, queue)}.=released.${partition}`

/** Where the turn of a message is: that of its key, or of its id where it has none. */
export const turnSubject = (prefix: string, queue: string, message: WireMessage): string =>
  partitionSubject(prefix, queue, partitionOf(message.key ?? message.id))

/** No name of a queue makes a token with `=topic` in it, so a topic is apart from a queue of the same name. */
export const topicStreamOf = (prefix: string, topic: string): string => `${prefix}-${token(topic)}=topic`
export const topicSubjectOf = (prefix: string, topic: string, subject: string): string =>
  `${prefix}.topic.${token(topic)}.${subject}`
