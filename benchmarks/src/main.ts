// pnpm bench [all | core | rabbitmq | nats | redis | sqs | soak | replay | exactly-once | outbox] [url] [count], or migrate <from> <to> [count]
// A broker without a URL runs in a container, as in the tests (integration-tests/images/prepare.sh makes
// Docker and the images ready). `soak` and `replay` take the URL of any broker; default `memory:`, and for
// `replay` one of each kind. `exactly-once` and `outbox` take it, too, and PostgreSQL from `DATABASE_URL`
// or a container.
import { coreOverhead } from './core-overhead.js'
import { exactlyOnce } from './exactly-once.js'
import { BROKERS, lendBroker } from './lend-broker.js'
import { lendPostgres } from './lend-postgres.js'
import { migrate } from './migrate.js'
import { outbox } from './outbox.js'
import { rawNats, tunedNats } from './raw-nats.js'
import { rawRedis, tunedRedis } from './raw-redis.js'
import { rawSqs, tunedSqs } from './raw-sqs.js'
import { replay } from './replay.js'
import { soak } from './soak.js'
import { versusAmqplib } from './versus-amqplib.js'
import { versusRivals } from './versus-rivals.js'

const [part = 'all', url, count, more] = process.argv.slice(2)
const print = (line: string): boolean => process.stdout.write(`${line}\n`)
const wants = (name: string): boolean => part === 'all' || part === name

if (part === 'soak') await soak(url ?? 'memory:', Number(count ?? 1_000_000), print)
else if (part === 'migrate') await migrate(url ?? '', count ?? '', Number(more ?? 40_000), print)
else if (part === 'exactly-once' || part === 'outbox') {
  const run = part === 'outbox' ? outbox : exactlyOnce
  await lendPostgres((database) => run(url ?? 'memory:', database, Number(count ?? 5_000), print))
} else if (part === 'replay') {
  const names = Object.keys(BROKERS) as (keyof typeof BROKERS)[]
  for (const name of url === undefined ? names : names.slice(0, 1))
    await lendBroker(name, url, (lent) => replay(lent, Number(count ?? 10_000), print))
} else {
  if (wants('core')) await coreOverhead(print)
  if (wants('rabbitmq'))
    await lendBroker('rabbitmq', url ?? process.env.RABBITMQ_URL, (lent) => versusAmqplib(lent, print))
  if (wants('nats'))
    await lendBroker('nats', url, async (lent) =>
      versusRivals(
        {
          url: lent,
          rivals: [await rawNats(lent), await tunedNats(lent)],
          count: 20_000,
          rounds: 5,
          concurrency: 256,
        },
        print,
      ),
    )
  if (wants('redis'))
    await lendBroker('redis', url, async (lent) =>
      versusRivals(
        {
          url: lent,
          rivals: [await rawRedis(lent), await tunedRedis(lent)],
          count: 20_000,
          rounds: 5,
          concurrency: 256,
        },
        print,
      ),
    )
  if (wants('sqs'))
    await lendBroker('sqs', url, async (lent) => {
      const endpoint = lent.replace(/^sqs\+http:\/\/[^@]*@/, 'http://')
      await versusRivals(
        {
          url: lent,
          rivals: [await rawSqs(endpoint), await tunedSqs(endpoint)],
          count: 2_000,
          rounds: 3,
          concurrency: 100,
        },
        print,
      )
    })
}
