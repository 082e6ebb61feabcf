// Drains one queue from one broker to another in a process of its own, to be killed half way. Arguments: the two
// URLs, the queue, the state folder. Tells its parent how far it is.
import { Migration } from '@msgloop/migrate'
import { openDriver } from 'msgloop'
import { faultQueue } from './fault-queue.js'

const [from = '', to = '', name = '', state = ''] = process.argv.slice(2)
const drivers = await Promise.all([openDriver(from), openDriver(to)])
const migration = await Migration.open({
  from: drivers[0],
  to: drivers[1],
  queues: [faultQueue(name)],
  state,
})
await migration.drain({
  quiet: '3s',
  onProgress: ({ moved }) => process.send?.({ moved }),
  onTrouble: () => {},
})
await Promise.all(drivers.map((driver) => driver.close()))
process.disconnect()
