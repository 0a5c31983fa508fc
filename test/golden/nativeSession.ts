import { greedySlot } from '../../runtime/engine/slotOptions.ts'
import type { KvType } from '../../runtime/graph/kvGroups.ts'
import type { PreparedModel } from '../../runtime/models/loadModel.ts'
import type {
  Backend,
  Isa,
  NativeBinding,
  NativeModel,
  PageTable,
  StepBatch,
} from '../../runtime/native.ts'

export interface SessionOptions {
  backend: Backend
  isa?: Isa
  threads: number
  /** Longest sequence that will be run. */
  maxLength: number
  /** Default `f32`: nothing rounds but the kernels. */
  kvType?: KvType
}

/**
 * One sequence at a time through a native model, driven as the scheduler drives it: explicit page tables with pages in no
 * order, pages behind a window given up, a pool poisoned with NaN.
 */
export class NativeSession {
  readonly model: NativeModel
  readonly #prepared: PreparedModel
  /** Page ids of each KV group for the one sequence. */
  readonly #pages: Int32Array[]
  readonly #slot: number

  static async open(
    native: NativeBinding,
    prepared: PreparedModel,
    options: SessionOptions,
  ): Promise<NativeSession> {
    const counts = prepared.kvGroups.map(group => Math.ceil(options.maxLength / group.pageTokens))
    const numPages = counts.reduce((sum, count) => sum + count, 0)
    const type = options.kvType ?? 'f32'
    const model = await native.load({
      plan: prepared.plan,
      weights: prepared.weights,
      backend: options.backend,
      ...(options.isa ? { isa: options.isa } : {}),
      threads: options.threads,
      maxTokens: options.maxLength,
      maxSequences: 1,
      maxLogitRows: options.maxLength,
      maxSlots: 1,
      kv: { numPages, pageBytes: prepared.pageBytes(type), type, poison: true },
    })
    let next = 0
    // From the end of the pool backwards and striped over the groups: nothing may count on order.
    const pages = counts.map(count => new Int32Array(count))
    for (let i = 0; i < Math.max(...counts); i++) {
      for (const table of pages) if (i < table.length) table[i] = numPages - 1 - next++
    }
    return new NativeSession(model, prepared, pages)
  }

  private constructor(model: NativeModel, prepared: PreparedModel, pages: Int32Array[]) {
    this.model = model
    this.#prepared = prepared
    this.#pages = pages
    this.#slot = model.openSlot(greedySlot)
  }

  /** Prefills `tokens` in chunks and returns the logits at the last position, [V]. */
  async lastLogits(tokens: readonly number[], chunk = tokens.length): Promise<Float32Array> {
    for (let begin = 0; begin < tokens.length; begin += chunk) {
      const part = tokens.slice(begin, begin + chunk)
      const isLast = begin + chunk >= tokens.length
      await this.model.forward(this.#batch(part, begin, isLast ? [part.length - 1] : []))
    }
    return this.model.readLogits(0)
  }

  /** Logits at every position, from one prefill. */
  async *allLogits(tokens: readonly number[]): AsyncGenerator<Float32Array> {
    const rows = tokens.map((_, i) => i)
    await this.model.forward(this.#batch(tokens, 0, rows))
    for (const row of rows) yield await this.model.readLogits(row)
  }

  /** What a buffer holds after an op of a prefill of `tokens`, [T x width]. */
  async bufferAfter(tokens: readonly number[], op: number, buffer: string): Promise<Float32Array> {
    const rows = tokens.map((_, i) => i)
    await this.model.forward(this.#batch(tokens, 0, rows), op)
    return this.model.readBuffer(buffer)
  }

  /** Continues `prompt` by `count` greedy tokens; each step is queued before the token it starts from is known. */
  async greedy(prompt: readonly number[], count: number): Promise<number[]> {
    const samples: Promise<number>[] = []
    let position = prompt.length
    const steps = [this.model.forward(this.#batch(prompt, 0, [prompt.length - 1]))]
    for (let i = 0; i < count; i++, position++) {
      const sample = this.model.sample({
        rows: Int32Array.of(0),
        slots: Int32Array.of(this.#slot),
        positions: Int32Array.of(position),
      })
      samples.push(sample.then(result => result.tokens[0] ?? -1))
      if (i < count - 1) {
        steps.push(this.model.forward(this.#batch([-(this.#slot + 1)], position, [0])))
      }
    }
    await Promise.all(steps)
    return Promise.all(samples)
  }

  dispose(): Promise<void> {
    return this.model.dispose()
  }

  #batch(tokens: readonly number[], begin: number, logitRows: number[]): StepBatch {
    return {
      tokens: Int32Array.from(tokens),
      positions: Int32Array.from(tokens, (_, i) => begin + i),
      queryStart: Int32Array.of(0, tokens.length),
      kvLength: Int32Array.of(begin + tokens.length),
      pageTables: this.#prepared.kvGroups.map((_, group) =>
        this.#pageTable(group, begin, begin + tokens.length),
      ),
      logitRows: Int32Array.from(logitRows),
    }
  }

  #pageTable(group: number, begin: number, end: number): PageTable {
    const { pageTokens, window } = this.#prepared.kvGroups[group] ?? { pageTokens: 1 }
    const firstVisible = window === undefined ? 0 : begin - window + 1
    const count = Math.ceil(end / pageTokens)
    const pages = (this.#pages[group] ?? new Int32Array()).slice(0, count)
    pages.forEach((_, i) => {
      if ((i + 1) * pageTokens <= firstVisible) pages[i] = -1
    })
    return { start: Int32Array.of(0, count), pages }
  }
}
