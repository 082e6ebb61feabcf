const FIRST_MS = 100
const LONGEST_MS = 5_000

/**
 * Milliseconds to wait before reconnect attempt `attempt` (1, 2, …): doubling from 100 ms to 5 s,
 * less up to half at random, so that clients which lost a broker together do not return together.
 */
export function reconnectDelayMs(attempt: number, random: () => number): number {
  return Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt - 1, 10)) * (1 - random() / 2)
}
