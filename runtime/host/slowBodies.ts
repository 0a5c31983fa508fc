import type { Readable } from 'node:stream'

/**
 * How slow a client may be before it only pretends to be one. A body has `graceMs` to come, and longer as long as it
 * keeps up `minBytesPerSecond` on average: the rule of Apache's mod_reqtimeout, with its numbers. A plain time limit would
 * cut off an honest upload over a slow line, a limit on silence would not cut off a byte every now and then.
 */
export interface Patience {
  /** Time for the line and headers of a request. */
  headersMs: number
  graceMs: number
  minBytesPerSecond: number
  /** An answer that is written whole has so long to be taken. */
  answerMs: number
  /** An HTTP/2 connection that nothing has happened on for so long is told to go, once its streams have ended. */
  idleMs: number
}

export const PATIENCE: Patience = {
  headersMs: 20_000,
  graceMs: 20_000,
  minBytesPerSecond: 500,
  answerMs: 600_000,
  idleMs: 60_000,
}

interface Body {
  incoming: Readable
  /** Time that somebody has waited for more of it. */
  waitedMs: number
  numBytes: number
  giveUp: () => void
}

/** Watches bodies on their way in. One timer looks at them all: most have come before it ever does. */
export class SlowBodies {
  readonly #patience: Patience
  readonly #bodies = new Set<Body>()
  readonly #timer: NodeJS.Timeout
  #checkedMs = performance.now()

  constructor(patience: Patience) {
    this.#patience = patience
    this.#timer = setInterval(() => this.#check(), Math.min(1000, patience.graceMs / 4)).unref()
  }

  /** @returns what to answer instead of anything else, should the body be too slow; else it never settles */
  watch(incoming: Readable): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<string>()
    const { graceMs, minBytesPerSecond } = this.#patience
    const giveUp = () =>
      resolve(
        `The request body came too slowly: it has ${graceMs / 1000} s, and more at ${minBytesPerSecond} bytes a second.`,
      )
    const body: Body = { incoming, waitedMs: 0, numBytes: 0, giveUp }
    this.#bodies.add(body)
    const { push } = incoming
    // All of it: nothing of this is left for as long as the answer takes.
    const forget = () => {
      this.#bodies.delete(body)
      incoming.push = push
      incoming.off('end', forget).off('close', forget)
    }
    incoming.on('end', forget).on('close', forget)
    // Both protocols put a body into its stream here. A listener for data would start the stream before its reader is there.
    incoming.push = (chunk: Buffer | null, encoding) => {
      body.numBytes += chunk?.length ?? 0
      return push.call(incoming, chunk, encoding)
    }
    return promise
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #check(): void {
    const { graceMs, minBytesPerSecond } = this.#patience
    const sinceMs = performance.now() - this.#checkedMs
    this.#checkedMs += sinceMs
    for (const body of this.#bodies) {
      // What nobody reads, or not as fast as it comes, is not the client's fault.
      if (body.incoming.readableFlowing !== true) continue
      body.waitedMs += sinceMs
      if (body.waitedMs < graceMs + (1000 * body.numBytes) / minBytesPerSecond) continue
      this.#bodies.delete(body)
      body.giveUp()
    }
  }
}
