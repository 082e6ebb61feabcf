/** Whether the broker of this URL lives in the process that connects to it. */
export function isMemory(url: string): boolean {
  return /^memory:/i.test(url)
}

/**
 * The same URL, but a `memory:` broker gets a name: connections of one process share a broker by its
 * name, as they share any other by its address.
 */
export function sharedUrl(url: string, name: string): string {
  return url.replace(/^memory:(?:\/\/)?(?=\?|$)/i, `memory://${name}`)
}
