import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

/** Tests run against sources: what a test imports and what the packages import is the same copy. */
const source = (path: string): string => fileURLToPath(new URL(`packages/${path}`, import.meta.url))
const alias = [
  { find: /^@msgloop\/core\/driver$/, replacement: source('core/src/driver-entry.ts') },
  { find: /^@msgloop\/core\/engine$/, replacement: source('core/src/engine-entry.ts') },
  { find: /^@msgloop\/core\/testing$/, replacement: source('core/src/testing/index.ts') },
  { find: /^@msgloop\/core$/, replacement: source('core/src/index.ts') },
  { find: /^@msgloop\/adapter-memory$/, replacement: source('adapter-memory/src/index.ts') },
  { find: /^@msgloop\/adapter-rabbitmq$/, replacement: source('adapter-rabbitmq/src/index.ts') },
  { find: /^@msgloop\/adapter-sqs$/, replacement: source('adapter-sqs/src/index.ts') },
  { find: /^@msgloop\/adapter-nats$/, replacement: source('adapter-nats/src/index.ts') },
  { find: /^@msgloop\/adapter-redis-streams$/, replacement: source('adapter-redis-streams/src/index.ts') },
  { find: /^@msgloop\/conformance\/vitest$/, replacement: source('conformance/src/vitest.ts') },
  { find: /^@msgloop\/conformance$/, replacement: source('conformance/src/index.ts') },
  { find: /^@msgloop\/migrate$/, replacement: source('migrate/src/index.ts') },
  { find: /^@msgloop\/postgres$/, replacement: source('postgres/src/index.ts') },
  { find: /^@msgloop\/redis$/, replacement: source('redis/src/index.ts') },
  { find: /^msgloop$/, replacement: source('msgloop/src/index.ts') },
]
const env = { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true', TESTCONTAINERS_RYUK_DISABLED: 'true' }

export default defineConfig({
  test: {
    // Most cases wait for a clock, so files of the unit project share cores well.
    maxWorkers: 2,
    projects: [
      {
        resolve: { alias },
        test: {
          name: 'unit',
          include: ['packages/*/src/**/*.test.ts', 'integration-tests/src/unit/**/*.test.ts'],
          env,
          // Bounds what hangs, not what is slow: a property is tried a thousand times on any machine.
          testTimeout: 60_000,
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'brokers',
          include: ['integration-tests/src/brokers/**/*.test.ts'],
          env,
          // Two brokers at a time: most of their time is waiting, but more of them would test the machine.
          maxWorkers: 2,
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
})
