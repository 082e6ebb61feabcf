export type { RedisInboxOptions, RedisRun } from './inbox.js'
export { redisInbox } from './inbox.js'
