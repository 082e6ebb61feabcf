import { Presets, SingleBar } from 'cli-progress'
import { wantsColour } from '../terminal.js'

export interface ProgressBar {
  /** @param total `undefined` while nobody can tell */
  update(done: number, total: number | undefined, note?: string): void
  stop(): void
}

const SILENT: ProgressBar = { update() {}, stop() {} }

/** A bar on stderr, where that is a terminal; elsewhere nothing. */
export function progressBar(what: string): ProgressBar {
  if (process.stderr.isTTY !== true) return SILENT
  const bar = new SingleBar(
    {
      format: `${what} {bar} {value}/{totalText} {note}`,
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: false,
    },
    wantsColour(true, process.env) ? Presets.shades_classic : Presets.legacy,
  )
  bar.start(0, 0, { totalText: '?', note: '' })
  return {
    update(done, total, note = '') {
      bar.setTotal(Math.max(total ?? done, done, 1))
      bar.update(done, { totalText: total === undefined ? '?' : String(total), note })
    },
    stop: () => bar.stop(),
  }
}
