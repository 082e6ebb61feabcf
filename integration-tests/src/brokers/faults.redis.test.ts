import { describeFaults } from '../fault-suite.js'
import { startRedis } from '../redis-server.js'
import { describeTopicFaults } from '../topic-fault-suite.js'

const options = { start: () => startRedis('redis:8') }

describeFaults('Redis', options)
describeTopicFaults('Redis', options)
