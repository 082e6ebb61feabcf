import type { Driver } from '@msgloop/core/driver'
import type { InboxBed } from './inbox-bed.js'

/** A message as a client that knows nothing of msgloop would send it. */
export interface ForeignMessage {
  readonly body: Uint8Array
  readonly contentType?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly id?: string
  readonly correlationId?: string
  /** Where it expects an answer: an address of the broker. */
  readonly replyTo?: string
  readonly type?: string
}

/** A process of its own that holds one message in its handler. See `holdMessage`. */
export interface HoldingProcess {
  /** Id of the message its handler was given. */
  readonly started: Promise<string>
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>
  /** SIGTERM; resolves with the signal or the exit code that ended it. */
  terminate(): Promise<NodeJS.Signals | number>
}

/**
 * What the suite must know of a broker. Optional members are abilities of the test bed: cases that
 * need one that is absent are skipped, and say so.
 */
export interface Harness {
  /** Column of the report: `memory`, `rabbitmq`, … */
  readonly adapter: string
  /** Version of the broker, for the report. */
  readonly version: string
  /** Why messages sent one after the other may arrive in another order, where they may. */
  readonly unordered?: string
  /**
   * Ids of cases that fail for a defect of the emulator the harness stands on, each with the defect. The
   * clause holds all the same: such a case is for the real service to prove.
   */
  readonly cannotProve?: Readonly<Record<string, string>>
  /** Why there are no topics, where that is the emulator's lack and not the broker's. */
  readonly noTopics?: string
  /** Credentials in use. None of them may be found in an error. */
  readonly secrets?: readonly string[]
  /** A new, independent client of the same broker. The suite closes it. */
  openDriver(): Driver | Promise<Driver>
  /** A queue name nobody else uses, of at most 60 characters. The suite deletes it, and its `.dlq`. */
  unique(prefix: string): string
  /** Cuts the connections of this driver as the network would; new ones may be made at once. */
  disconnect?(driver: Driver): Promise<void>
  /** Cuts the connections of this driver and refuses new ones until the returned function is called. */
  outage?(driver: Driver): Promise<() => Promise<void>>
  /** Sends to an existing queue what another client would: without any header of msgloop. */
  sendForeign?(queue: string, message: ForeignMessage): Promise<void>
  /** Makes a queue of that name with settings that msgloop would not choose. */
  declareDrifted?(queue: string): Promise<void>
  /** An inbox that consumers of this broker's queues are given, for the cases of X3. */
  readonly inbox?: InboxBed
  /** Starts a process that calls `holdMessage` on this queue. */
  spawnConsumer?(queue: string): Promise<HoldingProcess>
  /** Lets go of everything the harness itself holds. */
  close(): Promise<void>
}
