// Replays the dead letters of a queue in a process of its own, to be killed half way. Arguments: URL, queue,
// options of the replay as JSON. Tells its parent of each entry after it was moved, so that a kill leaves some
// untold, and of the phase it is in.
import { onFlow } from '@msgloop/core'
import { connect } from 'msgloop'
import { faultQueue } from './fault-queue.js'

const [url = '', name = '', options = '{}'] = process.argv.slice(2)
const broker = await connect(url)
onFlow(({ step, messageId }) => {
  if (step === 'replayed') process.send?.({ id: messageId })
})
await broker.queue(faultQueue(name)).deadLetters.replay(
  {},
  {
    ...JSON.parse(options),
    onProgress: ({ phase }) => process.send?.({ phase }),
  },
)
await broker.close()
process.disconnect()
