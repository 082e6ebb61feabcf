import type { Mail } from './mail.js'

export type Render = (mail: Mail) => string

/** The bug: shops also promise delivery "today", and that is no date: `RangeError: Invalid time value`. */
export const withBug: Render = (mail) =>
  render(mail, (delivery) => new Date(delivery).toISOString().slice(0, 10))

export const fixed: Render = (mail) => render(mail, (delivery) => delivery)

function render(mail: Mail, onDay: (delivery: string) => string): string {
  switch (mail.template) {
    case 'user.welcome':
      return `Welcome, ${mail.name}!`
    case 'user.password-reset':
      return `${mail.name}, choose a new password: ${mail.link}`
    case 'order.confirmation':
      return `Thank you, ${mail.name}. Your order arrives ${onDay(mail.delivery)}.`
    default:
      throw new TypeError(`no template for ${JSON.stringify(mail satisfies never)}`)
  }
}
