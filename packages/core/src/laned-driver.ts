import type { Clock } from './clock.js'
import type { Admin, BrowsePage, Drift, Driver, QueueStats, Source } from './driver.js'
import { openLanedReceiver } from './laned-receiver.js'
import { openLanedSender } from './laned-sender.js'
import { laneSpecs } from './lanes.js'

/**
 * A driver that knows queues with lanes, and makes each of three ordinary ones of the driver it is given. All the
 * core above it takes them for one queue.
 */
export function withLanes(driver: Driver, clock: Clock): Driver {
  return {
    name: driver.name,
    get address() {
      return driver.address
    },
    capabilities: driver.capabilities,
    admin: lanedAdmin(driver.admin),
    ...(driver.replies && { replies: driver.replies }),
    connect: (signal) => driver.connect(signal),
    async openSender(destination, signal) {
      const lanes = laneSpecs(destination)
      return await (lanes ? openLanedSender(driver, lanes, signal) : driver.openSender(destination, signal))
    },
    async openReceiver(source, options, signal) {
      const lanes = laneSpecs(source)
      return await (lanes
        ? openLanedReceiver(driver, lanes, options, clock, signal)
        : driver.openReceiver(source, options, signal))
    },
    classify: (error) => driver.classify(error),
    native: () => driver.native(),
    close: () => driver.close(),
  }
}

function lanedAdmin(admin: Admin): Admin {
  const browse = admin.browse?.bind(admin)
  return {
    async declare(topology, signal) {
      for (const each of laneSpecs(topology) ?? [topology]) await admin.declare(each, signal)
    },
    async verify(topology, signal) {
      const drifts: Drift[] = []
      for (const each of laneSpecs(topology) ?? [topology]) drifts.push(...(await admin.verify(each, signal)))
      return drifts
    },
    async stats(source, signal) {
      const lanes = laneSpecs(source)
      if (!lanes) return await admin.stats(source, signal)
      return joined(await Promise.all(lanes.map((lane) => admin.stats(lane, signal))))
    },
    async purge(source, signal) {
      const lanes = laneSpecs(source) ?? [source]
      return sum(await Promise.all(lanes.map((lane) => admin.purge(lane, signal))))
    },
    async delete(topology, signal) {
      for (const each of laneSpecs(topology) ?? [topology]) await admin.delete(each, signal)
    },
    ...(browse && {
      async browse(source: Source, limit: number, cursor: string | undefined, signal: AbortSignal) {
        const lanes = laneSpecs(source)
        return await (lanes
          ? page(browse, lanes, limit, cursor, signal)
          : browse(source, limit, cursor, signal))
      },
    }),
  }
}

function joined(lanes: readonly QueueStats[]): QueueStats {
  const all = (field: keyof QueueStats): (number | undefined)[] => lanes.map((stats) => stats[field])
  return {
    ready: sum(all('ready')),
    inFlight: sum(all('inFlight')),
    delayed: sum(all('delayed')),
    dead: undefined,
    oldestAgeMs: known(all('oldestAgeMs'), (ages) => Math.max(...ages)),
    // A consumer reads every lane.
    consumers: known(all('consumers'), (counts) => Math.min(...counts)),
    requests: sum(all('requests')),
  }
}

function sum(numbers: readonly (number | undefined)[]): number | undefined {
  return known(numbers, (all) => all.reduce((total, each) => total + each, 0))
}

function known(
  numbers: readonly (number | undefined)[],
  join: (numbers: number[]) => number,
): number | undefined {
  const told = numbers.filter((each) => each !== undefined)
  return told.length === numbers.length ? join(told) : undefined
}

/** One lane after the other; a cursor is the number of the lane and the cursor in it. */
async function page(
  browse: NonNullable<Admin['browse']>,
  lanes: readonly Source[],
  limit: number,
  cursor: string | undefined,
  signal: AbortSignal,
): Promise<BrowsePage> {
  const [, at = '0', inner] = /^(\d):(.*)$/s.exec(cursor ?? '0:') ?? []
  const lane = Number(at)
  const source = lanes[lane]
  if (!source) return { entries: [] }
  const { entries, cursor: next } = await browse(source, limit, inner === '' ? undefined : inner, signal)
  if (next !== undefined) return { entries, cursor: `${lane}:${next}` }
  return { entries, ...(lane + 1 < lanes.length && { cursor: `${lane + 1}:` }) }
}
