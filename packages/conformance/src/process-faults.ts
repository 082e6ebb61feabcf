/** Unhandled rejections and uncaught exceptions of this process (L7). */
export interface ProcessFaults {
  readonly list: readonly unknown[]
  readonly stop: () => void
}

export function watchProcess(): ProcessFaults {
  const list: unknown[] = []
  const note = (fault: unknown): void => void list.push(fault)
  process.on('unhandledRejection', note)
  process.on('uncaughtException', note)
  return {
    list,
    stop: () => {
      process.off('unhandledRejection', note)
      process.off('uncaughtException', note)
    },
  }
}
