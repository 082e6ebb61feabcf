import { Answers } from './answers.js'
import { AttemptLog } from './attempt-log.js'
import type { BrokerOptions } from './broker.js'
import { systemClock } from './clock.js'
import type { Context } from './context.js'
import type { Driver } from './driver.js'
import { withLanes } from './laned-driver.js'
import { oneOf, positiveInteger } from './options.js'
import { Requests } from './requests.js'
import { SendBudget } from './send-budget.js'
import { TopologyKeeper } from './topology-keeper.js'

const MAX_UNCONFIRMED = 10_000
const MAX_UNCONFIRMED_BYTES = 64 * 1024 * 1024

/** What the parts of one broker share, from its options. @throws MsgloopError `INVALID` */
export function makeContext(
  driver: Driver,
  options: BrokerOptions,
  guards: Pick<Context, 'assertOpen' | 'assertSending'>,
): Context {
  const at = (option: keyof BrokerOptions): string => `createBroker: option "${option}"`
  const topology = oneOf(at('topology'), options.topology ?? 'declare', ['declare', 'verify', 'none'])
  const clock = options.clock ?? systemClock
  const base = { driver: withLanes(driver, clock), clock, random: options.random ?? Math.random }
  return {
    ...base,
    requests: new Requests(base),
    answers: new Answers(base),
    topology: new TopologyKeeper(base.driver, topology),
    attempts: new AttemptLog(driver.capabilities.retry),
    budget: new SendBudget(
      positiveInteger(at('maxUnconfirmed'), options.maxUnconfirmed ?? MAX_UNCONFIRMED),
      positiveInteger(at('maxUnconfirmedBytes'), options.maxUnconfirmedBytes ?? MAX_UNCONFIRMED_BYTES),
    ),
    ...guards,
  }
}
