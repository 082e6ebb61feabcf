import { SqsDriver } from './driver.js'
import { resolveTarget, type SqsOptions } from './url.js'

/**
 * A driver for Amazon SQS, and for emulators of it. Opens nothing until it is used.
 *
 * @throws DriverError `INVALID` for a URL or option it does not understand
 * @example const broker = createBroker(sqs({ url: 'sqs://eu-central-1/prod-' }))
 */
export function sqs(options: SqsOptions): SqsDriver {
  return new SqsDriver(resolveTarget(options))
}

export type { Calls } from './calls.js'
export type { SqsDriver, SqsOptions }
