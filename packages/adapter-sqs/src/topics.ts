import { DriverError, untilAborted } from '@msgloop/core/driver'
import { physicalTopicName } from './names.js'
import type { Sns } from './sns.js'

/**
 * Knows topics by name, once looked up. SNS has no way to ask for one by its name, and an account's number, which
 * its ARN holds, is nowhere to be had without a permission of its own: so all are listed, once.
 */
export class Topics {
  readonly #sns: Sns
  readonly #prefix: string
  readonly #arns = new Map<string, Promise<string>>()

  constructor(sns: Sns, prefix: string) {
    this.#sns = sns
    this.#prefix = prefix
  }

  physicalName(name: string): string {
    return physicalTopicName(this.#prefix, name)
  }

  /** @throws DriverError `NOT_FOUND` */
  async find(name: string, signal?: AbortSignal): Promise<string> {
    const physical = this.physicalName(name)
    let arn = this.#arns.get(physical)
    if (!arn) {
      // Callers share it, so none may abort it.
      arn = this.#list(physical, name)
      this.#arns.set(physical, arn)
      arn.catch(() => this.forget(name))
    }
    return await untilAborted(arn, signal)
  }

  learn(name: string, arn: string): void {
    this.#arns.set(this.physicalName(name), Promise.resolve(arn))
  }

  /** It was not there: look again next time. */
  forget(name: string): void {
    this.#arns.delete(this.physicalName(name))
  }

  async #list(physical: string, name: string): Promise<string> {
    let page: string | undefined
    do {
      const { arns, next } = await this.#sns.topics(page)
      const found = arns.find((arn) => arn.endsWith(`:${physical}`))
      if (found) return found
      page = next
    } while (page !== undefined)
    throw new DriverError('NOT_FOUND', `sns: there is no topic "${name}" (${physical})`, {
      outcome: 'rejected',
    })
  }
}
