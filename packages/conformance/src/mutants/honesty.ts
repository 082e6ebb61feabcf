import type { Capabilities, Limits, QueueStats } from '@msgloop/core/driver'
import { DriverError } from '@msgloop/core/driver'
import { decorate } from '../decorate.js'
import type { Mutant } from './mutant.js'

/** Claims other limits than the broker has. */
const claiming =
  (claim: (limits: Limits) => Partial<Limits>): Mutant['make'] =>
  () =>
  (driver) => {
    const limits = Object.freeze({ ...driver.capabilities.limits, ...claim(driver.capabilities.limits) })
    const capabilities: Capabilities = Object.freeze({ ...driver.capabilities, limits })
    return decorate(driver, { driver: () => ({ capabilities }) })
  }

const counting =
  (change: (stats: QueueStats) => Partial<QueueStats>): Mutant['make'] =>
  () =>
  (driver) =>
    decorate(driver, {
      admin: (inner) => ({
        async stats(source, signal) {
          const stats = await inner.stats(source, signal)
          return { ...stats, ...change(stats) }
        },
      }),
    })

export const honestyMutants: readonly Mutant[] = [
  {
    id: 'limit-body',
    fault: 'claims a larger body than the broker takes',
    seenIn: 'C1; P10, §m of each broker',
    caughtBy: ['M1-limit', 'D1-largest'],
    make: claiming(({ bodyBytes }) => ({ bodyBytes: bodyBytes + 1 })),
  },
  {
    id: 'limit-headers',
    fault: 'claims more headers than the broker takes',
    seenIn: 'C1; P22: more than ten attributes are discarded',
    caughtBy: ['M2-limits', 'M1-limit'],
    make: claiming(({ headerCount }) => ({ headerCount: headerCount * 2 })),
  },
  {
    id: 'limit-header-bytes',
    fault: 'claims more bytes of headers than the broker takes',
    seenIn: 'C1; P10: headers over 64 KiB throw',
    caughtBy: ['M2-limits', 'D1-largest'],
    make: claiming(({ headerBytes }) => ({ headerBytes: headerBytes * 4 })),
  },
  {
    id: 'limit-too-low',
    fault: 'claims too little to be portable',
    seenIn: 'M2: at least 8 headers and 8 KiB',
    caughtBy: ['M2-limits'],
    make: claiming(() => ({ headerCount: 4 })),
  },
  {
    id: 'capabilities-thawed',
    fault: 'lets everybody change its limits',
    seenIn: 'C1',
    caughtBy: ['C1-frozen'],
    make: () => (driver) => {
      const capabilities: Capabilities = { ...driver.capabilities, limits: { ...driver.capabilities.limits } }
      return decorate(driver, { driver: () => ({ capabilities }) })
    },
  },
  {
    id: 'lease-claimed',
    fault: 'claims renewable leases and cannot extend',
    seenIn: 'H11: a capability known only at run time',
    caughtBy: ['C1-shape'],
    needs: 'connection-lease',
    make: () => (driver) => {
      const capabilities: Capabilities = Object.freeze({ ...driver.capabilities, lease: 'renewable' })
      return decorate(driver, { driver: () => ({ capabilities }) })
    },
  },
  {
    id: 'window-ignored',
    fault: 'claims to drop duplicates, and does not',
    seenIn: 'H14: features in the README only; P16',
    caughtBy: ['S7-window'],
    make: () => (driver) =>
      decorate(driver, {
        admin: (inner) => ({
          declare: (topology, signal) =>
            inner.declare('dedupWindowMs' in topology ? { ...topology, dedupWindowMs: 0 } : topology, signal),
        }),
      }),
  },
  {
    id: 'release-count-lie',
    fault: 'claims that a release counts as a delivery',
    seenIn: 'P2: what bumps which counter',
    caughtBy: ['R1-release'],
    make: () => (driver) => {
      const capabilities: Capabilities = Object.freeze({ ...driver.capabilities, releaseCounts: true })
      return decorate(driver, { driver: () => ({ capabilities }) })
    },
  },
  {
    id: 'declare-once',
    fault: 'fails when a queue is declared a second time',
    seenIn: 'P3, §1.3: 406 for what exists already',
    caughtBy: ['C2-declare-at-once', 'S1-confirmed'],
    make() {
      const seen = new Set<string>()
      return (driver) =>
        decorate(driver, {
          admin: (inner) => ({
            async declare(topology, signal) {
              if (seen.has(topology.name)) throw new DriverError('DRIFT', `queue "${topology.name}" exists`)
              seen.add(topology.name)
              await inner.declare(topology, signal)
            },
          }),
        })
    },
  },
  {
    id: 'declare-overwrites',
    fault: 'changes a queue that exists with other settings',
    seenIn: 'C2: left alone',
    caughtBy: ['C2-drift-refused'],
    make: () => (driver) =>
      decorate(driver, {
        admin: (inner) => ({
          async declare(topology, signal) {
            await inner.declare(topology, signal).catch(async () => {
              await inner.delete(topology, signal)
              await inner.declare(topology, signal)
            })
          },
        }),
      }),
  },
  {
    id: 'declare-ignores-drift',
    fault: 'works with a queue of other settings as if it were right',
    seenIn: '§1.3: adopted without a word',
    caughtBy: ['C2-drift-refused'],
    make: () => (driver) =>
      decorate(driver, {
        admin: (inner) => ({
          declare: (topology, signal) => inner.declare(topology, signal).catch(() => {}),
        }),
      }),
  },
  {
    id: 'verify-creates',
    fault: 'creates what it was to verify',
    seenIn: 'field 117: verify mode creates nothing',
    caughtBy: ['C2-verify-missing', 'C2-verify-mode'],
    make: () => (driver) =>
      decorate(driver, {
        admin: (inner) => ({
          async verify(topology, signal) {
            const drifts = await inner.verify(topology, signal)
            await inner.declare(topology, signal).catch(() => {})
            return drifts
          },
        }),
      }),
  },
  {
    id: 'verify-blind',
    fault: 'finds nothing missing and nothing drifted',
    seenIn: 'field 118',
    caughtBy: ['C2-verify-missing', 'C2-drift-reported'],
    make: () => (driver) => decorate(driver, { admin: () => ({ verify: async () => [] }) }),
  },
  {
    id: 'purge-nothing',
    fault: 'reports a purge and removes nothing',
    seenIn: 'D7',
    caughtBy: ['D7-purge', 'W1-longest', 'F3-stats'],
    make: () => (driver) =>
      decorate(driver, {
        admin: (inner) => ({ purge: async (source, signal) => (await inner.stats(source, signal)).ready }),
      }),
  },
  {
    id: 'purge-forgets-delayed',
    fault: 'counts but keeps delayed messages on delete',
    seenIn: '§1.2: delayed messages live elsewhere',
    caughtBy: ['C2-delete'],
    make: () => (driver) => decorate(driver, { admin: () => ({ delete: async () => {} }) }),
  },
  {
    id: 'stats-guess',
    fault: 'counts delayed messages as ready',
    seenIn: '§3.1n: one number for two things',
    caughtBy: ['F3-stats'],
    make: counting(({ ready = 0, delayed = 0 }) => ({ ready: ready + delayed })),
  },
  {
    id: 'stats-zero',
    fault: 'says 0 where it cannot tell',
    seenIn: 'F3: never a guess',
    caughtBy: ['F3-stats'],
    make: counting(() => ({ inFlight: 0, consumers: 0 })),
  },
  {
    id: 'native-hidden',
    fault: 'has no native object to give',
    seenIn: 'C3',
    caughtBy: ['C3-native'],
    make: () => (driver) => decorate(driver, { driver: () => ({ native: () => undefined }) }),
  },
]
