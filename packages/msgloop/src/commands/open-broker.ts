import type { Broker, Duration } from '@msgloop/core'
import { connect } from '../connect.js'
import { CommandFailure, messageOf } from './failure.js'

/** Connects for a command. @throws CommandFailure with exit code 2 */
export async function openBroker(url: string, timeout: Duration): Promise<Broker> {
  try {
    return await connect(url, { timeout })
  } catch (error) {
    throw new CommandFailure(2, messageOf(error), { cause: error })
  }
}
