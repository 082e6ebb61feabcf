/** One run of something that handles `count` messages. */
export interface Sample {
  readonly perSecond: number
  /** CPU of this process, user and system. */
  readonly cpuMicros: number
}

export async function measure(count: number, run: () => Promise<void>): Promise<Sample> {
  const cpu = process.cpuUsage()
  const begun = process.hrtime.bigint()
  await run()
  const seconds = Number(process.hrtime.bigint() - begun) / 1e9
  const { user, system } = process.cpuUsage(cpu)
  return { perSecond: count / seconds, cpuMicros: (user + system) / count }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? Number.NaN
}

/**
 * Runs two sides in turn and compares round by round, so that whatever the machine does meanwhile
 * hits both. The first round warms up and does not count.
 */
export async function sideBySide(
  rounds: number,
  ours: () => Promise<Sample>,
  theirs: () => Promise<Sample>,
): Promise<{
  readonly ratio: number
  readonly spread: string
  readonly ours: Sample
  readonly theirs: Sample
}> {
  const a: Sample[] = []
  const b: Sample[] = []
  for (let round = 0; round <= rounds; round++) {
    // Who goes first changes, so that neither always finds the broker rested.
    const first = round % 2 === 0
    const one = first ? await ours() : undefined
    const two = await theirs()
    const three = one ?? (await ours())
    if (round === 0) continue
    a.push(three)
    b.push(two)
  }
  const ratios = a.map((sample, i) => sample.perSecond / (b[i]?.perSecond ?? Number.NaN))
  const typical = (samples: readonly Sample[]): Sample => ({
    perSecond: median(samples.map((s) => s.perSecond)),
    cpuMicros: median(samples.map((s) => s.cpuMicros)),
  })
  const sorted = [...ratios].sort((x, y) => x - y)
  return {
    ratio: median(ratios),
    spread: `${sorted[0]?.toFixed(2)} to ${sorted.at(-1)?.toFixed(2)}`,
    ours: typical(a),
    theirs: typical(b),
  }
}
