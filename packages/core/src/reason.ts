/** What a thrown thing says, however hostile it is: its getters may throw, it may have no prototype. */
export function reasonOf(error: unknown): string {
  try {
    return error instanceof Error ? String(error.message) : String(error)
  } catch {
    return 'thrown, and impossible to describe'
  }
}
