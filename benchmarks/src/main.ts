// pnpm bench [all | core | rabbitmq | soak] [url] [count]
// `rabbitmq` without a URL runs on a container, as the tests do (integration-tests/images/prepare.sh
// makes Docker and its image ready). `soak` takes the URL of any broker; default `memory:`.
import { coreOverhead } from './core-overhead.js'
import { withRabbitmq } from './rabbitmq-url.js'
import { soak } from './soak.js'
import { versusAmqplib } from './versus-amqplib.js'

const [part = 'all', url, count = '1000000'] = process.argv.slice(2)
const print = (line: string): boolean => process.stdout.write(`${line}\n`)

if (part === 'soak') await soak(url ?? 'memory:', Number(count), print)
else {
  if (part === 'all' || part === 'core') await coreOverhead(print)
  if (part === 'all' || part === 'rabbitmq')
    await withRabbitmq(url ?? process.env.RABBITMQ_URL, (lent) => versusAmqplib(lent, print))
}
