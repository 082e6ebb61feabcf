import { InvalidArgumentError } from 'commander'

/** For commander: 1, 2, … */
export function wholeNumber(given: string): number {
  const value = Number(given)
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new InvalidArgumentError('It must be a whole number above 0.')
}
