import { randomUUID } from 'node:crypto'
import {
  type Accepted,
  type DetokenizeJob,
  type Embedded,
  type EmbedJob,
  EngineError,
  type EngineErrorData,
  type EngineHealth,
  type ModelInfo,
  type ModelMetrics,
  type Tokenized,
  type TokenizeJob,
} from '../../edge/engine.ts'
import type { NativeModel } from '../native.ts'
import { Scheduler, type SchedulerOptions } from '../scheduler/scheduler.ts'
import type { Sequence, SequenceOptions } from '../scheduler/sequence.ts'
import type { StepPlan } from '../scheduler/stepPlan.ts'
import { encodeEmbedding } from './encodeEmbedding.ts'
import { EngineService } from './engineService.ts'
import type { EngineText } from './engineText.ts'
import type { StepResult } from './launchStep.ts'
import type { LoadReport } from './localEngine.ts'
import type { ManagedEngine } from './modelRegistry.ts'
import { PromptEncoder } from './promptEncoder.ts'
import { greedySlot } from './slotOptions.ts'
import { StepLoop } from './stepLoop.ts'

export interface EmbeddingEngineOptions {
  info: ModelInfo & { vocabSize: number; maxModelLen: number; embeddingSize: number }
  report: LoadReport
  scheduler: SchedulerOptions
}

/** One request: its inputs, and the vectors that are done. */
interface EmbedRun {
  id: string
  job: EmbedJob
  sequences: Map<Sequence, number>
  vectors: (Float32Array | undefined)[]
  numMissing: number
  resolve(): void
  reject(error: unknown): void
}

/** The engine of a model that makes embeddings: inputs of many requests share steps, as prompts of a generating model do. */
export class EmbeddingEngine implements ManagedEngine {
  readonly #options: EmbeddingEngineOptions
  readonly #text: EngineText
  readonly #native: NativeModel
  readonly #prompts: PromptEncoder
  readonly #scheduler: Scheduler
  readonly #steps: StepLoop
  readonly #runs = new Set<EmbedRun>()
  readonly #runOf = new Map<Sequence, EmbedRun>()
  readonly #service: EngineService

  constructor(options: EmbeddingEngineOptions, text: EngineText, native: NativeModel) {
    this.#options = options
    this.#text = text
    this.#native = native
    this.#prompts = new PromptEncoder(text, options.info, undefined)
    this.#scheduler = new Scheduler(options.scheduler, native)
    this.#service = new EngineService(options.info, this.#scheduler, options.scheduler.maxSequences)
    const { vocabSize } = options.info
    this.#steps = new StepLoop(
      native,
      this.#scheduler,
      { vocabSize, depth: 2 },
      {
        onResults: (...results) => this.#takeResults(...results),
        onIdle: () => {},
        onFailure: error => this.#fail(error),
      },
    )
    text.lost.then(error => this.#failWithoutText(error))
  }

  get info(): ModelInfo {
    return this.#options.info
  }

  get report(): LoadReport {
    return this.#options.report
  }

  get lost(): Promise<Error> {
    return this.#service.lost
  }

  async submit(): Promise<Accepted> {
    const message = `The model '${this.#options.info.id}' makes embeddings; it does not generate text.`
    throw new EngineError({ kind: 'invalid', message, param: 'model' })
  }

  embed(job: EmbedJob, signal: AbortSignal): Promise<Embedded> {
    return this.#service.admit(() => this.#embed(job, signal))
  }

  async #embed(job: EmbedJob, signal: AbortSignal): Promise<Embedded> {
    signal.throwIfAborted()
    this.#service.checkReady(job.owner)
    const { info } = this.#options
    const dimensions = job.dimensions ?? info.embeddingSize
    if (!(Number.isInteger(dimensions) && dimensions >= 1 && dimensions <= info.embeddingSize)) {
      const message = `dimensions must be an integer from 1 to ${info.embeddingSize}, the size of this model's embeddings`
      throw new EngineError({ kind: 'invalid', message, param: 'dimensions' })
    }
    const prompts = await Promise.all(
      job.inputs.map((input, i) => this.#encode(input, i, job, signal)),
    )
    signal.throwIfAborted()
    // Much may have happened while the text worker was busy.
    this.#service.checkReady(job.owner)
    const vectors = await this.#run(job, prompts, signal)
    return {
      model: info.id,
      embeddings: vectors.map(vector => encodeEmbedding(vector, dimensions)),
      promptTokens: prompts.reduce((n, prompt) => n + prompt.length, 0),
    }
  }

  async cancel(id: string, owner: string | undefined): Promise<boolean> {
    const named = [...this.#runs].filter(
      ({ id: runId, job }) => (runId === id || job.requestId === id) && job.owner === owner,
    )
    for (const run of named)
      this.#end(run, { kind: 'cancelled', message: 'The job was cancelled.' })
    return named.length > 0
  }

  tokenize(job: TokenizeJob, signal: AbortSignal): Promise<Tokenized> {
    return this.#prompts.tokenize(job, this.#options.info, signal)
  }

  detokenize(job: DetokenizeJob, signal: AbortSignal): Promise<string> {
    const { skipSpecialTokens = false } = job
    return this.#text.decode(job.tokens, { skipSpecialTokens }, signal)
  }

  async models(): Promise<ModelInfo[]> {
    return this.#service.models()
  }

  async health(): Promise<EngineHealth> {
    return this.#service.health()
  }

  async metrics(): Promise<ModelMetrics[]> {
    return this.#service.metrics()
  }

  drain(deadlineMs: number): Promise<void> {
    return this.#service.drain(deadlineMs, this.#runs.size === 0, error => this.#endAll(error))
  }

  async dispose(): Promise<void> {
    const error = this.#service.dispose()
    if (error === undefined) return
    this.#endAll(error)
    await Promise.all([this.#native.dispose(), this.#text.close()])
  }

  /** @throws when the scheduler's bookkeeping is inconsistent (tests) */
  checkInvariants(): void {
    this.#scheduler.checkInvariants()
  }

  /** @throws EngineError for an input that is empty, too long or of tokens the model does not have */
  async #encode(
    input: string | number[],
    index: number,
    job: EmbedJob,
    signal: AbortSignal,
  ): Promise<Int32Array> {
    const { maxModelLen, vocabSize } = this.#options.info
    const param = `inputs.${index}`
    const ids =
      typeof input === 'string'
        ? await this.#prompts.encode({ kind: 'text', text: input }, signal)
        : Int32Array.from(input)
    if (ids.length === 0) {
      throw new EngineError({ kind: 'invalid', message: 'The input is empty.', param })
    }
    const unknown = ids.find(id => id < 0 || id >= vocabSize)
    if (unknown !== undefined) {
      const message = `The input holds token ${unknown}, which this model does not know.`
      throw new EngineError({ kind: 'invalid', message, param })
    }
    if (ids.length <= maxModelLen) return ids
    if (!job.truncate) {
      const message = `The input has ${ids.length} tokens, and the context holds ${maxModelLen}.`
      throw new EngineError({ kind: 'context_length', message, param })
    }
    return this.#truncated(ids, maxModelLen)
  }

  /** Keeps the token that tokenizers put behind a text: models are read there. */
  #truncated(ids: Int32Array, length: number): Int32Array {
    const cut = ids.slice(0, length)
    const last = ids.at(-1)
    if (last !== undefined && this.#text.isSpecial(last)) cut[length - 1] = last
    return cut
  }

  #run(job: EmbedJob, prompts: Int32Array[], signal: AbortSignal): Promise<Float32Array[]> {
    return new Promise((resolve, reject) => {
      const abort = () => {
        if (!this.#runs.has(run)) return
        this.#service.completed('aborted', run.numMissing)
        this.#forget(run)
        reject(signal.reason)
      }
      const release = () => signal.removeEventListener('abort', abort)
      const run: EmbedRun = {
        id: `emb-${randomUUID()}`,
        job,
        sequences: new Map(),
        vectors: prompts.map(() => undefined),
        numMissing: prompts.length,
        resolve: () => {
          release()
          resolve(run.vectors.filter(vector => vector !== undefined))
        },
        reject: error => {
          release()
          reject(error)
        },
      }
      this.#runs.add(run)
      signal.addEventListener('abort', abort, { once: true })
      const now = performance.now()
      for (const [index, prompt] of prompts.entries()) {
        const [sequence] = this.#scheduler.add([sequenceOptions(prompt, job.owner)], 0, now)
        if (sequence === undefined) continue
        run.sequences.set(sequence, index)
        this.#runOf.set(sequence, run)
      }
      this.#steps.start()
    })
  }

  #takeResults(plan: StepPlan, { sampled, pooled }: StepResult, ms: number, now: number): void {
    for (const [i, { sequence }] of plan.pooled.entries()) {
      const run = this.#runOf.get(sequence)
      const index = run?.sequences.get(sequence)
      const vector = pooled[i]
      if (run === undefined || index === undefined || vector === undefined) continue
      run.vectors[index] = vector
      run.numMissing--
      this.#service.completed('stop')
    }
    this.#scheduler.apply(plan.id, sampled.tokens, ms, now, () => {})
    for (const run of this.#runs) {
      if (run.numMissing > 0) continue
      this.#forget(run)
      run.resolve()
    }
  }

  #end(run: EmbedRun, error: EngineErrorData): void {
    this.#service.completed('error', run.numMissing)
    this.#forget(run)
    run.reject(new EngineError(error))
  }

  #endAll(error: EngineErrorData): void {
    for (const run of this.#runs) this.#end(run, error)
  }

  #forget(run: EmbedRun): void {
    this.#runs.delete(run)
    for (const sequence of run.sequences.keys()) {
      this.#runOf.delete(sequence)
      this.#scheduler.finish(sequence)
    }
    if (this.#runs.size === 0) this.#service.idle()
    // Whoever waited for its place or pages may run now.
    else if (this.#service.isAlive) this.#steps.start()
  }

  #fail(cause: unknown): void {
    const error = this.#service.fail(cause)
    if (error === undefined) return
    this.#steps.drop()
    this.#endAll(error)
  }

  /** Steps under way still report; there is nothing left for them to give. */
  #failWithoutText(cause: Error): void {
    const error = this.#service.fail(cause, true)
    if (error !== undefined) this.#endAll(error)
  }
}

function sequenceOptions(prompt: Int32Array, owner: string | undefined): SequenceOptions {
  return {
    prompt,
    // Nothing follows the prompt.
    maxLength: prompt.length,
    stopIds: noIds,
    slot: greedySlot,
    pooled: true,
    cacheSalt: '',
    ...(owner !== undefined && { owner }),
  }
}

const noIds: ReadonlySet<number> = new Set()
