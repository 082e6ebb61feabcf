/**
 * What is kept of a message under one key: `done`, or `<token>` of the run that holds it. Tokens come from one
 * counter of the inbox and only grow, so that whoever stores effects can refuse a run that was overtaken.
 */

/** KEYS: mark, counter. ARGV: ms of the claim. Gives `done`, or 0 while another run holds it, or a token. */
export const CLAIM = `
local held = redis.call('GET', KEYS[1])
if held == 'done' then return 'done' end
if held then return 0 end
local token = redis.call('INCR', KEYS[2])
redis.call('SET', KEYS[1], token, 'PX', ARGV[1])
return token`

/** KEYS: mark. ARGV: token, ms. Gives 1 when the run still holds it. */
export const RENEW = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`

/** KEYS: mark. ARGV: token, ms to keep the mark. Gives 1 when the run held it to the end. */
export const COMMIT = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], 'done', 'PX', ARGV[2])
return 1`

/** KEYS: mark. ARGV: token. */
export const LET_GO = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`
