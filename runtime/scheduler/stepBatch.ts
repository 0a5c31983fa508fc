import type { PageTable, StepBatch } from '../native.ts'

export interface StepLimits {
  maxTokens: number
  maxSequences: number
  maxLogitRows: number
}

/** Fills the typed arrays of a step. They are reused: a batch is valid until the next `reset`. */
export class StepBatchBuilder {
  numTokens = 0
  numSequences = 0
  numLogitRows = 0
  readonly #tokens: Int32Array
  readonly #positions: Int32Array
  readonly #queryStart: Int32Array
  readonly #kvLength: Int32Array
  readonly #logitRows: Int32Array
  readonly #starts: Int32Array[]
  readonly #pages: Int32Array[]

  constructor(limits: StepLimits, numGroups: number) {
    this.#tokens = new Int32Array(limits.maxTokens)
    this.#positions = new Int32Array(limits.maxTokens)
    this.#queryStart = new Int32Array(limits.maxSequences + 1)
    this.#kvLength = new Int32Array(limits.maxSequences)
    this.#logitRows = new Int32Array(limits.maxLogitRows)
    this.#starts = Array.from({ length: numGroups }, () => new Int32Array(limits.maxSequences + 1))
    this.#pages = Array.from({ length: numGroups }, () => new Int32Array(256))
  }

  reset(): void {
    this.numTokens = 0
    this.numSequences = 0
    this.numLogitRows = 0
  }

  /** Adds tokens `from`..`end`-1 of a sequence; a token not known yet is named by the slot that will have drawn it. */
  addSequence(
    sequence: { tokens: Int32Array; length: number; slot: number; tables: number[][] },
    from: number,
    end: number,
  ): void {
    const b = this.numSequences++
    let t = this.numTokens
    for (let p = from; p < end; p++, t++) {
      this.#tokens[t] = p < sequence.length ? (sequence.tokens[p] ?? 0) : -(sequence.slot + 1)
      this.#positions[t] = p
    }
    this.numTokens = t
    this.#queryStart[b + 1] = t
    this.#kvLength[b] = end
    for (const [g, table] of sequence.tables.entries()) {
      const starts = this.#starts[g]
      if (starts === undefined) continue
      const start = starts[b] ?? 0
      const pages = this.#roomForPages(g, start + table.length)
      for (let i = 0; i < table.length; i++) pages[start + i] = table[i] ?? -1
      starts[b + 1] = start + table.length
    }
  }

  /** Asks for the logits of a row of the batch. @returns its index among the logit rows */
  addLogitRow(row: number): number {
    this.#logitRows[this.numLogitRows] = row
    return this.numLogitRows++
  }

  batch(): StepBatch {
    const numB = this.numSequences
    return {
      tokens: this.#tokens.subarray(0, this.numTokens),
      positions: this.#positions.subarray(0, this.numTokens),
      queryStart: this.#queryStart.subarray(0, numB + 1),
      kvLength: this.#kvLength.subarray(0, numB),
      pageTables: this.#starts.map((starts, g): PageTable => {
        const pages = this.#pages[g] ?? new Int32Array(0)
        return { start: starts.subarray(0, numB + 1), pages: pages.subarray(0, starts[numB]) }
      }),
      logitRows: this.#logitRows.subarray(0, this.numLogitRows),
    }
  }

  #roomForPages(group: number, length: number): Int32Array {
    let pages = this.#pages[group] ?? new Int32Array(0)
    if (length > pages.length) {
      const grown = new Int32Array(Math.max(length, pages.length * 2))
      grown.set(pages)
      pages = grown
      this.#pages[group] = pages
    }
    return pages
  }
}
