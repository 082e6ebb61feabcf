/** `instanceof`, also of a thrown proxy that itself throws when it is asked. */
export function isA<T>(error: unknown, type: abstract new (...args: never[]) => T): error is T {
  try {
    return error instanceof type
  } catch {
    return false
  }
}

/** What a thrown thing says, however hostile it is: its getters may throw, it may have no prototype. */
export function reasonOf(error: unknown): string {
  try {
    return error instanceof Error ? String(error.message) : String(error)
  } catch {
    return 'thrown, and impossible to describe'
  }
}
