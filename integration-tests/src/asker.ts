// Asks, and waits for an answer for ever: a process to be killed. Arguments: URL, queue.
import { sqs } from '@msgloop/adapter-sqs'
import { createBroker } from '@msgloop/core'

const [url = '', queue = ''] = process.argv.slice(2)
await createBroker(sqs({ url, replyQueueSeconds: 5 }))
  .queue(queue)
  .request({}, { timeout: '1h' })
