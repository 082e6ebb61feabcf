import { DriverError } from '@msgloop/core/driver'

const MOST = 80
const MOST_OF_TOPIC = 256
const FIFO = '.fifo'
/** Names that would be another name's, once `.` is written `--`. */
const AMBIGUOUS = /--|-\.|\.-/

/**
 * The name of a queue as SQS has it: letters, digits, `-`, `_`. A `.` is written `--`, which no other name is,
 * so that `a.b` and `a-b` stay two queues.
 *
 * @throws DriverError `INVALID`
 */
export function physicalName(prefix: string, name: string, fifo: boolean): string {
  return physical('queue', prefix, name, fifo, MOST)
}

/** The name of a topic as SNS has it, in the same way; all are FIFO topics. @throws DriverError `INVALID` */
export function physicalTopicName(prefix: string, name: string): string {
  return physical('topic', prefix, name, true, MOST_OF_TOPIC)
}

function physical(
  kind: 'queue' | 'topic',
  prefix: string,
  name: string,
  fifo: boolean,
  most: number,
): string {
  const invalid = (why: string): DriverError =>
    new DriverError('INVALID', `sqs: ${kind} "${name}" cannot have this name: ${why}`, {
      outcome: 'rejected',
    })
  if (AMBIGUOUS.test(name))
    throw invalid(`"." is written "--" on SQS, so a name can hold neither "--", "-." nor ".-"`)
  const found = `${prefix}${name.replaceAll('.', '--')}${fifo ? FIFO : ''}`
  if (found.length > most)
    throw invalid(`on SQS it is "${found}", ${found.length} characters long; ${most} are possible`)
  return found
}

/** The name of a queue as applications know it. One that is none of theirs stays as it is. */
export function logicalName(prefix: string, physical: string): string {
  const bare = physical.endsWith(FIFO) ? physical.slice(0, -FIFO.length) : physical
  return bare.startsWith(prefix) ? bare.slice(prefix.length).replaceAll('--', '.') : bare
}
