/** Lets one caller sleep until it is called, or until a signal aborts. */
export class Wake {
  #done: (() => void) | undefined

  call(): void {
    this.#done?.()
  }

  wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#done = undefined
        signal.removeEventListener('abort', done)
        resolve()
      }
      this.#done = done
      signal.addEventListener('abort', done, { once: true })
    })
  }
}
