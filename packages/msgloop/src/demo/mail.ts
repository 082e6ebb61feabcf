import { defineQueue, exponential, type QueueDefinition, type StandardSchema } from '@msgloop/core'
import { NoSuchMailbox } from './smtp.js'

/** What the shop wants mailed. `template` is also the message's type. */
export type Mail =
  | { readonly template: 'user.welcome'; readonly to: string; readonly name: string }
  | {
      readonly template: 'user.password-reset'
      readonly to: string
      readonly name: string
      readonly link: string
    }
  | {
      readonly template: 'order.confirmation'
      readonly to: string
      readonly name: string
      readonly delivery: string
    }

const FIELDS: Readonly<Record<string, readonly string[]>> = {
  'user.welcome': ['to', 'name'],
  'user.password-reset': ['to', 'name', 'link'],
  'order.confirmation': ['to', 'name', 'delivery'],
}

/**
 * By hand, so that whoever installs msgloop does not get a schema library for the sake of its demo.
 * An application writes `schema: v.object({ … })` with valibot, zod or arktype instead.
 */
const mailSchema: StandardSchema<unknown, Mail> = {
  '~standard': {
    version: 1,
    vendor: 'msgloop-demo',
    validate(value) {
      if (typeof value !== 'object' || value === null) return { issues: [{ message: 'expected an object' }] }
      const given = new Map<string, unknown>(Object.entries(value))
      const fields = FIELDS[String(given.get('template'))]
      if (!fields) return { issues: [{ path: ['template'], message: 'no such template' }] }
      const issues = fields
        .filter((field) => typeof given.get(field) !== 'string')
        .map((field) => ({ path: [field], message: 'expected a string' }))
      return issues.length > 0 ? { issues } : { value: value as Mail }
    },
  },
}

export function defineMails(name: string): QueueDefinition<Mail> {
  return defineQueue<Mail>(name, {
    schema: mailSchema,
    retry: exponential({ attempts: 4, from: '300ms', factor: 2, jitter: true }),
    failFast: [NoSuchMailbox],
    // Where a lease outlives its worker, this is how long a dead worker's mail waits for another.
    lease: '2s',
  })
}
