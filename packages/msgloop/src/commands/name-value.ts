import { CommandFailure } from './failure.js'

/** For commander: collects `--header name=value`, given any number of times. @throws CommandFailure */
export function nameValue(given: string, before: Record<string, string>): Record<string, string> {
  const at = given.indexOf('=')
  if (at < 1) throw new CommandFailure(2, `--header takes name=value, not "${given}"`)
  return { ...before, [given.slice(0, at)]: given.slice(at + 1) }
}
