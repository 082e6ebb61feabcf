import { describeExactlyOnce } from '../exactly-once-suite.js'
import { startRedis } from '../redis-server.js'

describeExactlyOnce('Redis', { start: () => startRedis('redis:8') })
