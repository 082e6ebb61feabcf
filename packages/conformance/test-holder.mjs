// A process with a memory broker of its own that holds one message: what `spawnHolder` starts in its test.
import { memory } from '@msgloop/adapter-memory'
import { heldQueue, holdMessage } from '@msgloop/conformance'
import { createBroker } from '@msgloop/core'

const queue = process.argv[2]
const broker = createBroker(memory({ name: 'held' }))
await broker.queue(heldQueue(queue)).send({}, { id: `held-in-${queue}` })
await broker.close()
await holdMessage(memory({ name: 'held' }), queue)
