/** Runs what it is given one after the other. */
export function oneAtATime(): <R>(run: () => R | Promise<R>) => Promise<R> {
  let last: Promise<unknown> = Promise.resolve()
  return (run) => {
    const result = last.then(run)
    last = result.catch(() => {})
    return result
  }
}
