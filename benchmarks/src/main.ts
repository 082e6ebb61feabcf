// pnpm bench [core | rabbitmq | soak] [url] [count]
// Without a part: core and rabbitmq. `rabbitmq` needs a URL, or RABBITMQ_URL; `soak` takes any URL.
import { coreOverhead } from './core-overhead.js'
import { soak } from './soak.js'
import { versusAmqplib } from './versus-amqplib.js'

const [part = 'all', given, count = '1000000'] = process.argv.slice(2)
const url = given ?? process.env.RABBITMQ_URL
const print = (line: string): boolean => process.stdout.write(`${line}\n`)

if (part === 'soak') await soak(url ?? 'memory:', Number(count), print)
else {
  if (part === 'all' || part === 'core') await coreOverhead(print)
  if (part === 'rabbitmq' || (part === 'all' && url !== undefined)) {
    if (url === undefined) throw new Error('give the URL of a RabbitMQ: pnpm bench rabbitmq amqp://…')
    await versusAmqplib(url, print)
  } else if (part === 'all') print('RabbitMQ was not measured: give its URL, or set RABBITMQ_URL')
}
