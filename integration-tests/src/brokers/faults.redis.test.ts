import { describeFaults } from '../fault-suite.js'
import { startRedis } from '../redis-server.js'

describeFaults('Redis', { start: () => startRedis('redis:8') })
