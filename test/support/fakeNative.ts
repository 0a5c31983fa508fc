import type { NativeModel, SampleResult, ScoreResult } from '../../runtime/native.ts'
import type { KvGroup } from '../../runtime/scheduler/pages.ts'
import { FakeModel } from './fakeModel.ts'

/** The fake model behind the addon's contract: calls are queued and executed in order, one each turn of the event loop. */
export class FakeNative implements NativeModel {
  readonly info = {
    backend: 'fake',
    isa: 'generic' as const,
    threads: 1,
    weightBytes: 0,
    kvBytes: 0,
  }
  readonly model: FakeModel
  /** Called before each forward; throws to make it fail. */
  beforeForward: () => void = () => {}
  /** Replaces a drawn token. */
  replaceToken: (token: number) => number = token => token
  numForwards = 0
  #last: Promise<unknown> = Promise.resolve()

  constructor(groups: readonly KvGroup[], numPages: number) {
    this.model = new FakeModel(groups, numPages)
  }

  forward(batch: Parameters<NativeModel['forward']>[0]) {
    const copy = structuredClone(batch)
    return this.#enqueue(() => {
      this.beforeForward()
      this.numForwards++
      this.model.forward(copy)
      return { ms: 1 }
    })
  }

  sample(batch: Parameters<NativeModel['sample']>[0]): Promise<SampleResult> {
    const copy = structuredClone(batch)
    return this.#enqueue(() => {
      const tokens = this.model.sample(copy).map(token => this.replaceToken(token))
      return { tokens, ...fakeLogprobs(tokens) }
    })
  }

  score(batch: Parameters<NativeModel['score']>[0]): Promise<ScoreResult> {
    const tokens = batch.tokens.slice()
    return this.#enqueue(() => fakeLogprobs(tokens))
  }

  openSlot(options: Parameters<NativeModel['openSlot']>[0]): number {
    return this.model.openSlot(options)
  }

  closeSlot(slot: number): void {
    void this.#enqueue(() => {
      this.model.closeSlot(slot)
      this.model.drain()
    })
  }

  copyPages(from: Int32Array, to: Int32Array): Promise<void> {
    const pages = structuredClone({ from, to })
    return this.#enqueue(() => this.model.copyPages(pages.from, pages.to))
  }

  readLogits(): Promise<Float32Array> {
    return Promise.reject(new Error('the fake has no logits'))
  }

  readBuffer(): Promise<Float32Array> {
    return Promise.reject(new Error('the fake has no buffers'))
  }

  interrupt(): void {}

  async dispose(): Promise<void> {
    await this.#last
  }

  #enqueue<T>(work: () => T): Promise<T> {
    const result = this.#last.then(() => new Promise(resolve => setImmediate(resolve))).then(work)
    this.#last = result.catch(() => {})
    return result
  }
}

/** The log-probability of token t is -t; the two best are always tokens 1 and 2. */
function fakeLogprobs(tokens: Int32Array): ScoreResult {
  const maxTop = 2
  const topIds = new Int32Array(tokens.length * maxTop)
  for (let i = 0; i < tokens.length; i++) topIds.set([1, 2], i * maxTop)
  return {
    logprobs: Float32Array.from(tokens, token => -token),
    topIds,
    topLogprobs: Float32Array.from(topIds, id => -id),
    maxTop,
  }
}
