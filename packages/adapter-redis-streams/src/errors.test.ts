import { DriverError } from '@msgloop/core/driver'
import { describe, expect, test } from 'vitest'
import { bare, classify } from './errors.js'

const native = (message: string, fields: object = {}): Error => Object.assign(new Error(message), fields)
const reply = (message: string): Error => native(message, { name: 'ReplyError' })

/** Texts as ioredis 6.0.0 threw them, against Redis 7.0.15 and 8.0.2 and Valkey 8.1.1. */
const SEEN: readonly (readonly [Error, string, boolean, ('rejected' | undefined)?])[] = [
  [
    native('connect ECONNREFUSED 127.0.0.1:1', { code: 'ECONNREFUSED', syscall: 'connect' }),
    'UNREACHABLE',
    true,
    'rejected',
  ],
  [
    native('getaddrinfo ENOTFOUND h', { code: 'ENOTFOUND', syscall: 'getaddrinfo' }),
    'UNREACHABLE',
    true,
    'rejected',
  ],
  [native('connect ETIMEDOUT', { code: 'ETIMEDOUT', syscall: 'connect' }), 'UNREACHABLE', true, 'rejected'],
  [
    native('self-signed certificate', { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }),
    'UNREACHABLE',
    false,
    'rejected',
  ],
  [native('read ECONNRESET', { code: 'ECONNRESET', syscall: 'read' }), 'CONNECTION_LOST', true],
  [native('read ETIMEDOUT', { code: 'ETIMEDOUT', syscall: 'read' }), 'CONNECTION_LOST', true],
  [native('write EPIPE', { code: 'EPIPE', syscall: 'write' }), 'CONNECTION_LOST', true],
  [native('Connection is closed.'), 'CONNECTION_LOST', true],
  [native("Socket timeout. Expecting data, but didn't receive any in 5000ms."), 'CONNECTION_LOST', true],
  [
    native("Stream isn't writeable and enableOfflineQueue options is false"),
    'CONNECTION_LOST',
    true,
    'rejected',
  ],
  [reply('WRONGPASS invalid username-password pair or user is disabled.'), 'DENIED', false, 'rejected'],
  [reply('NOAUTH Authentication required.'), 'DENIED', false, 'rejected'],
  [reply("NOPERM User bob has no permissions to run the 'evalsha' command"), 'DENIED', false, 'rejected'],
  [reply('NOPERM No permissions to access a key'), 'DENIED', false, 'rejected'],
  [
    reply(
      "ERR The user executing the script can't run this command or subcommand script: 9a, on @user_script:2.",
    ),
    'DENIED',
    false,
    'rejected',
  ],
  [
    reply(
      "ERR ACL failure in script: User bob has no permissions to run the 'time' command script: 9a, on @user_script:6.",
    ),
    'DENIED',
    false,
    'rejected',
  ],
  [
    reply("OOM command not allowed when used memory > 'maxmemory'. script: 9a, on @user_script:2."),
    'BUSY',
    true,
    'rejected',
  ],
  [
    reply(
      "ERR Error running script (call to f_9a): @user_script:2: @user_script: 2: -OOM command not allowed when used memory > 'maxmemory'.",
    ),
    'BUSY',
    true,
    'rejected',
  ],
  [reply('LOADING Redis is loading the dataset in memory'), 'BUSY', true, 'rejected'],
  [
    reply(
      'MISCONF Redis is configured to save RDB snapshots, but it is currently unable to persist on disk.',
    ),
    'BUSY',
    true,
    'rejected',
  ],
  [reply('CLUSTERDOWN Hash slot not served'), 'BUSY', true, 'rejected'],
  [reply('TRYAGAIN Multiple keys request during rehashing of slot'), 'BUSY', true, 'rejected'],
  [reply('ERR max number of clients reached'), 'BUSY', true, 'rejected'],
  [
    reply("READONLY You can't write against a read only replica. script: 9a, on @user_script:2."),
    'CONNECTION_LOST',
    true,
    'rejected',
  ],
  [reply('MOVED 3999 127.0.0.1:6381'), 'CONNECTION_LOST', true, 'rejected'],
  [
    reply("NOGROUP No such key 'q' or consumer group 'msgloop' in XREADGROUP with GROUP option"),
    'NOT_FOUND',
    true,
    'rejected',
  ],
  [reply('WRONGTYPE Operation against a key holding the wrong kind of value'), 'DRIFT', false, 'rejected'],
  [reply('ERR DB index is out of range'), 'INVALID', false, 'rejected'],
  [reply("ERR unknown command 'XADD', with args beginning with: "), 'UNSUPPORTED', false, 'rejected'],
  [
    native('Protocol error, got "H" as reply type byte. Please report this.'),
    'UNREACHABLE',
    false,
    'rejected',
  ],
]

describe('errors', () => {
  test.each(SEEN)('%s', (error, code, retryable, outcome) => {
    expect(classify(error)).toEqual({ code, retryable, ...(outcome && { outcome }) })
  })

  test('of our own are taken at their word', () => {
    const error = new DriverError('LEASE_LOST', 'x')
    expect(classify(error)).toBe(error)
  })

  test('that are not known are UNKNOWN, whatever they are', () => {
    for (const strange of [
      undefined,
      null,
      0,
      'OOM x',
      {},
      [],
      new Error('CONSTANT case'),
      reply('ERR syntax error'),
    ])
      expect(classify(strange)).toEqual({ code: 'UNKNOWN', retryable: false })
  })

  test('are shown without the command, which may be a password or all bodies of a batch', () => {
    const error = native('WRONGPASS x', { command: { name: 'auth', args: ['user', 'secret'] } })
    expect(JSON.stringify(bare(error))).not.toContain('secret')
    expect('command' in error).toBe(false)
  })
})
