import type { QueueSpec } from '@msgloop/core/driver'
import type { CaseContext } from './context.js'

/** Takes a message and lets go of it unsettled, as a consumer that dies does; resolves with its deliveries. */
export async function abandon(t: CaseContext, spec: QueueSpec): Promise<number> {
  const driver = await t.harness.openDriver()
  try {
    const options = { prefetch: 1, leaseMs: spec.leaseMs, consumer: 'crasher', onLost: () => {} }
    const receiver = await driver.openReceiver(spec, options, t.signal)
    const [delivery] = await t.until(
      'a delivery to abandon',
      () => receiver.receive(1, 1_000, t.signal),
      ({ length }) => length > 0,
    )
    await receiver.close()
    return delivery?.deliveries ?? 0
  } finally {
    await driver.close()
  }
}
