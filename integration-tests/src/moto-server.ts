import type { SqsServer } from './sqs-server.js'
import { startSqsServer } from './sqs-server.js'

/** SQS and SNS of one account, in memory. */
export function startMoto(): Promise<SqsServer> {
  return startSqsServer({
    image: 'motoserver/moto:5',
    port: 5000,
    ready: /Running on/,
    sns: true,
    async version(container) {
      const version = await container.exec('python3', '-c', 'import moto; print(moto.__version__)')
      return `moto ${version.trim()}`
    },
  })
}
