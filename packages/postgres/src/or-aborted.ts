/** Awaits `work`, but no longer than `signal`. @throws the signal's reason, also when it aborts as `work` ends */
export async function orAborted(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  let stop: () => void = () => {}
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason)
  })
  signal.addEventListener('abort', stop, { once: true })
  try {
    signal.throwIfAborted()
    await Promise.race([work(), aborted])
    signal.throwIfAborted()
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
