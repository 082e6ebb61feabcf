// A consumer in a process of its own, to be killed. Arguments: URL, queue, concurrency.
// Tells its parent of each message before it is acked, so that a kill can only make a duplicate.
import { connect } from 'msgloop'
import { faultQueue } from './fault-queue.js'

const [url = '', name = '', concurrency = '8'] = process.argv.slice(2)
const broker = await connect(url)
const queue = broker.queue(faultQueue(name))
const tell = (message: object): Promise<void> =>
  new Promise((resolve, reject) =>
    process.send?.(message, undefined, undefined, (error) => (error ? reject(error) : resolve())),
  )
const consumer = queue.consume(
  async (_body, message) => {
    await new Promise((resolve) => setTimeout(resolve, 5))
    await tell({ id: message.id })
  },
  { concurrency: Number(concurrency) },
)
await consumer.ready
await tell({ ready: true })
// The parent went away: so do we.
process.once('disconnect', () => void broker.close())
