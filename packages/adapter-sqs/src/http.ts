import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import type { Target } from './url.js'

/** How long one request may take that does not wait for messages. */
export const REQUEST_MS = 20_000
/** A free connection is closed before the broker closes it, perhaps just under a request. */
const IDLE_MS = 15_000

/** Connections to one endpoint. */
export function agentOf(endpoint: string | undefined, maxSockets: number): HttpAgent {
  const options = { keepAlive: true, maxSockets, timeout: IDLE_MS }
  return endpoint?.startsWith('http:') ? new HttpAgent(options) : new HttpsAgent(options)
}

/** What every client of the SDK is made with. */
export function clientConfig(
  target: Target,
  endpoint: string | undefined,
  agent: HttpAgent,
  requestTimeout: number | undefined,
) {
  return {
    region: target.region,
    ...(endpoint !== undefined && { endpoint }),
    ...(target.credentials && { credentials: target.credentials }),
    // Sending again by itself is how the SDK duplicates messages.
    maxAttempts: 1,
    requestHandler: new NodeHttpHandler({
      httpAgent: agent,
      ...(agent instanceof HttpsAgent && { httpsAgent: agent }),
      connectionTimeout: target.connectTimeoutMs,
      ...(requestTimeout !== undefined && { requestTimeout, throwOnRequestTimeout: true }),
    }),
  }
}
