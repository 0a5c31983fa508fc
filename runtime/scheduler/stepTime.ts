/** Predicts the length of a step from steps that ran, so that the scheduler can plan in milliseconds. */
export class StepTime {
  /** Decode-only steps by power of two of their rows, 0 = never seen. */
  readonly #decodeMs: number[] = new Array(12).fill(0)
  #prefillMsPerToken = 0

  /** @param ms measured length of a step with these rows */
  record(ms: number, decodeRows: number, prefillTokens: number): void {
    if (!(ms >= 0)) return
    if (prefillTokens === 0) {
      const bucket = bucketOf(decodeRows)
      this.#decodeMs[bucket] = blend(this.#decodeMs[bucket] ?? 0, ms)
    } else if (prefillTokens >= minMeasuredTokens) {
      // Part of a mixed step is the decode rows' share; never below a tenth, or one slow decode would make prefill free.
      const own = Math.max(ms - this.decodeMs(decodeRows), ms / 10)
      this.#prefillMsPerToken = blend(this.#prefillMsPerToken, own / prefillTokens)
    }
  }

  /** Expected length of a step of decode rows alone; 0 while nothing is known. */
  decodeMs(rows: number): number {
    if (rows === 0) return 0
    const bucket = bucketOf(rows)
    for (let d = 0; d < this.#decodeMs.length; d++) {
      const near = this.#decodeMs[bucket - d] || this.#decodeMs[bucket + d]
      if (near) return near
    }
    return 0
  }

  get prefillMsPerToken(): number {
    return this.#prefillMsPerToken || firstGuessMsPerToken
  }

  expectedMs(decodeRows: number, prefillTokens: number): number {
    return this.decodeMs(decodeRows) + prefillTokens * this.prefillMsPerToken
  }

  /** Prefill tokens that fit a step of `targetMs` beside the decode rows. */
  prefillTokens(targetMs: number, decodeRows: number): number {
    return Math.floor((targetMs - this.decodeMs(decodeRows)) / this.prefillMsPerToken)
  }
}

/** Before the first measurement: slow enough that the first step of a large model on two cores stays abortable. */
const firstGuessMsPerToken = 2
/** Shorter chunks say more about the fixed cost of a step than about a token. */
const minMeasuredTokens = 8

function bucketOf(rows: number): number {
  return Math.min(11, 31 - Math.clz32(Math.max(1, rows)))
}

function blend(old: number, sample: number): number {
  return old === 0 ? sample : old + 0.25 * (sample - old)
}
