import { setTimeout as sleep } from 'node:timers/promises'
import { defineQueue, type Queue } from '@msgloop/core'
import { connect } from '../connect.js'
import type { Mail } from './mail.js'

const CUSTOMERS = ['Ada', 'Bob', 'Carol', 'Dan', 'Erin', 'Frank', 'Grace', 'Heidi']
const PACE_MS = 40

/** What the shop has to tell its customers today, oddities early so that there is time to see them through. */
function mailsOfTheDay(): Mail[] {
  const usual = CUSTOMERS.flatMap((name): Mail[] => {
    // Erin's mail server greylists: it turns away what it has not seen before.
    const to = `${name.toLowerCase()}@${name === 'Erin' ? 'grey' : 'shop'}.example`
    return [
      { template: 'user.welcome', to, name },
      { template: 'order.confirmation', to, name, delivery: '2026-12-01' },
      { template: 'user.password-reset', to, name, link: 'https://shop.example/reset' },
    ]
  })
  const byErin = usual.filter(({ name }) => name === 'Erin')
  const others = usual.filter(({ name }) => name !== 'Erin')
  const today = (name: string): Mail => ({
    template: 'order.confirmation',
    to: `${name.toLowerCase()}@shop.example`,
    name,
    delivery: 'today',
  })
  const typo: Mail = { template: 'user.welcome', to: 'ivan@shop.invalid', name: 'Ivan' }
  return [...others.slice(0, 2), today('Judy'), typo, ...byErin, today('Ken'), ...others.slice(2)]
}

/** The producer. Resolves with the ids of what was sent, and to whom, once all is sent. */
export async function sendMails(
  queue: Queue<Mail>,
  sent: (id: string, to: string) => void,
  signal: AbortSignal,
): Promise<void> {
  let number = 0
  for (const mail of mailsOfTheDay()) {
    const id = await queue.send(mail, {
      id: `mail-${String(++number).padStart(2, '0')}`,
      type: mail.template,
      signal,
    })
    sent(id, mail.to)
    await sleep(PACE_MS, undefined, { signal })
  }
}

/** Somebody else's program, which knows the queue's name and nothing of its schema. */
export async function sendMalformed(url: string, queue: string): Promise<string> {
  const broker = await connect(url, { topology: 'none' })
  try {
    const body = { template: 'user.welcome', email: 'leo@shop.example' }
    return await broker.queue(defineQueue(queue)).send(body, { id: 'mail-00', type: 'user.welcome' })
  } finally {
    await broker.close()
  }
}
