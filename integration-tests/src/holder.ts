// Holds one message for ever: the process that conformance cases kill. Arguments: URL, queue.
import { rabbitmq } from '@msgloop/adapter-rabbitmq'
import { holdMessage } from '@msgloop/conformance'

const [url = '', queue = ''] = process.argv.slice(2)
await holdMessage(rabbitmq({ url }), queue)
