import { DriverError } from '@msgloop/core/driver'

const MOST = 80
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
  if (AMBIGUOUS.test(name))
    throw invalid(name, `"." is written "--" on SQS, so a name can hold neither "--", "-." nor ".-"`)
  const physical = `${prefix}${name.replaceAll('.', '--')}${fifo ? FIFO : ''}`
  if (physical.length > MOST)
    throw invalid(
      name,
      `on SQS it is "${physical}", ${physical.length} characters long; ${MOST} are possible`,
    )
  return physical
}

/** The name of a queue as applications know it. One that is none of theirs stays as it is. */
export function logicalName(prefix: string, physical: string): string {
  const bare = physical.endsWith(FIFO) ? physical.slice(0, -FIFO.length) : physical
  return bare.startsWith(prefix) ? bare.slice(prefix.length).replaceAll('--', '.') : bare
}

const invalid = (name: string, why: string): DriverError =>
  new DriverError('INVALID', `sqs: queue "${name}" cannot have this name: ${why}`, { outcome: 'rejected' })
