import { randomUUID } from 'node:crypto'
import {
  type Accepted,
  type DetokenizeJob,
  type Embedded,
  type EmbedJob,
  EngineError,
  type EngineErrorData,
  type EngineHealth,
  type GenerateJob,
  type ModelInfo,
  type ModelMetrics,
  type Tokenized,
  type TokenizeJob,
} from '../../edge/engine.ts'
import type { GenerationDefaults } from '../config/generationDefaults.ts'
import { checkModalities } from '../media/checkModalities.ts'
import type { NativeModel } from '../native.ts'
import type { KvBudget } from '../scheduler/kvBudget.ts'
import { Scheduler, type SchedulerOptions } from '../scheduler/scheduler.ts'
import { choiceOptions, type ModelChoices } from './choiceOptions.ts'
import { EngineService, type EngineStats } from './engineService.ts'
import type { EngineText } from './engineText.ts'
import { EventQueue } from './eventQueue.ts'
import { Job } from './job.ts'
import type { ManagedEngine } from './modelRegistry.ts'
import { type HeldTo, OutputConstraints } from './output/outputConstraints.ts'
import { checkTools, jobReading, type OutputReading } from './output/outputReading.ts'
import { unscoredToken } from './output/tokenLogprob.ts'
import { PromptEncoder } from './promptEncoder.ts'
import { RunningJobs } from './runningJobs.ts'
import { StepLoop } from './stepLoop.ts'
import { validateJob } from './validateJob.ts'

/** What a start message or a benchmark says about a loaded model. */
export interface LoadReport {
  kv: KvBudget & { type: 'f32' | 'f16' }
  native: NativeModel['info']
  /** Things to tell the user, one line each. */
  messages: string[]
  loadMs: number
}

export interface LocalEngineOptions {
  /** `maxModelLen` is the longest sequence, prompt and output: what the model allows and the pool holds. */
  info: ModelInfo & { vocabSize: number; maxModelLen: number }
  report: LoadReport
  generation: GenerationDefaults
  reading: OutputReading
  scheduler: SchedulerOptions
  /** Seed of requests that bring none; absent draws one each. */
  seed?: number
  /** Steps planned ahead of results; 1 waits for each (tests). Default 2. */
  depth?: 1 | 2
  /** Take text that a grammar leaves no choice about without drawing it; off to compare. Default true. */
  jumpAhead?: boolean
  /** How long a reader may lag; default 60 s. */
  stallMs?: number
}

/** More than the tags at the end of any prompt. */
const tailTokens = 32
/** A quiet moment after this long is used for the integrity check. */
const idleCheckMs = 1000
const defaultStallMs = 60_000
/** First requests come before anything that may be needed later. */
const warmUpMs = 500

/** The engine that runs a model in this process: text in and out here, steps on native threads. */
export class LocalEngine implements ManagedEngine {
  readonly #options: LocalEngineOptions
  readonly #text: EngineText
  readonly #native: NativeModel
  readonly #prompts: PromptEncoder
  readonly #constraints: OutputConstraints
  readonly #service: EngineService
  readonly #scheduler: Scheduler
  readonly #jobs: RunningJobs
  readonly #steps: StepLoop
  readonly #model: ModelChoices
  readonly #bytesOf = (id: number) => this.#text.tokenBytes(id)
  #idleTimer: NodeJS.Timeout | undefined

  constructor(options: LocalEngineOptions, text: EngineText, native: NativeModel) {
    this.#options = options
    this.#text = text
    this.#native = native
    const { generation, info } = options
    const stopIds = new Set([...generation.eosTokenIds, ...options.reading.endIds])
    this.#model = { generation, stopIds, maxModelLen: info.maxModelLen, seed: options.seed }
    const [endOfText] = generation.eosTokenIds
    this.#prompts = new PromptEncoder(text, options.info, endOfText)
    this.#scheduler = new Scheduler(options.scheduler, native)
    this.#service = new EngineService(options.info, this.#scheduler, options.scheduler.maxSequences)
    const { vocabSize } = options.info
    const { depth = 2, jumpAhead = true } = options
    this.#constraints = new OutputConstraints(text, options.reading, {
      vocabSize,
      stopIds,
      jumpAhead,
    })
    this.#jobs = new RunningJobs(this.#scheduler, this.#service, {
      bytesOf: this.#bytesOf,
      stallMs: options.stallMs ?? defaultStallMs,
      onRoom: () => this.#kick(),
    })
    this.#steps = new StepLoop(
      native,
      this.#scheduler,
      { vocabSize, depth },
      {
        onResults: (...results) => this.#jobs.takeResults(...results),
        onIdle: () => this.#notifyIdle(),
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

  /** What applies to a request that says nothing. */
  get generation(): GenerationDefaults {
    return this.#options.generation
  }

  /** Makes what the first grammar would wait for, on another thread, in the first quiet moment: for engines that stay. */
  warmUp(): void {
    setTimeout(() => {
      if (!this.#service.isAlive) return
      if (this.#steps.isRunning) return this.warmUp()
      // Whoever needs it tries again, and is told.
      this.#constraints.warmUp().catch(() => {})
    }, warmUpMs).unref()
  }

  submit(job: GenerateJob, signal: AbortSignal): Promise<Accepted> {
    return this.#service.admit(() => this.#admit(job, signal))
  }

  async #admit(job: GenerateJob, signal: AbortSignal): Promise<Accepted> {
    signal.throwIfAborted()
    this.#service.checkReady(job.owner)
    validateJob(job, this.#options.info.vocabSize)
    this.#checkNumChoices(job)
    checkModalities(job, this.#options.info.inputModalities)
    checkTools(job, this.#options.reading)
    const prompts = await this.#prompts.encodeJob(job, signal)
    const tail = this.#tailOf(prompts[0] ?? noTokens)
    const held = await this.#constraints.of(job, tail, signal)
    signal.throwIfAborted()
    // Much may have happened while the text worker was busy.
    this.#service.checkReady(job.owner)
    this.#prompts.check(job, prompts)
    return this.#accept(job, prompts, held, signal)
  }

  async cancel(id: string, owner: string | undefined): Promise<boolean> {
    return this.#jobs.cancel(id, owner)
  }

  async embed(_job: EmbedJob): Promise<Embedded> {
    const message = `The model '${this.#options.info.id}' generates text; it does not make embeddings.`
    throw new EngineError({ kind: 'invalid', message, param: 'model' })
  }

  async tokenize(job: TokenizeJob, signal: AbortSignal): Promise<Tokenized> {
    checkModalities(job, this.#options.info.inputModalities)
    checkTools(job, this.#options.reading)
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

  stats(): EngineStats {
    return this.#service.stats()
  }

  async metrics(): Promise<ModelMetrics[]> {
    return this.#service.metrics()
  }

  /** Refuses new jobs and waits for the accepted ones; those not done after `deadlineMs` end with an error. */
  drain(deadlineMs: number): Promise<void> {
    return this.#service.drain(deadlineMs, this.#jobs.size === 0, error => this.#endAll(error))
  }

  /** Ends every job with an error, frees the model's memory and ends the text worker. */
  async dispose(): Promise<void> {
    const error = this.#service.dispose()
    if (error === undefined) return
    this.#jobs.close()
    clearTimeout(this.#idleTimer)
    this.#endAll(error)
    await Promise.all([this.#native.dispose(), this.#text.close(), this.#constraints.close()])
  }

  /** @throws when the scheduler's bookkeeping is inconsistent (tests) */
  checkInvariants(): void {
    this.#scheduler.checkInvariants()
  }

  /** Before any prompt is tokenized: a million of them would keep everybody waiting. */
  #checkNumChoices({ prompt, n }: GenerateJob): void {
    const { scheduler } = this.#options
    const choices = n * (prompt.kind === 'text' ? prompt.prompts.length : 1)
    const most = scheduler.maxWaiting + scheduler.maxSequences
    if (choices > most) {
      const message = `n is ${n}, which makes ${choices} choices; this server takes at most ${most} at once`
      throw new EngineError({ kind: 'invalid', message, param: 'n' })
    }
  }

  #accept(job: GenerateJob, prompts: Int32Array[], held: HeldTo, signal: AbortSignal): Accepted {
    const now = performance.now()
    const queue = new EventQueue(
      () => this.#jobs.resume(accepted),
      () => this.#jobs.abort(accepted),
    )
    const accepted = new Job(`gen-${randomUUID()}`, job, now, queue)
    const reading = jobReading(job, this.#options.reading)
    let cachedTokens = 0
    let queuePosition = 0
    for (const [p, prompt] of prompts.entries()) {
      const choices = choiceOptions(job, prompt, held, this.#model)
      // After a prompt of nothing but control tokens the output begins a text, and its first space may not count.
      const continuation = prompt.some(id => !this.#text.isSpecial(id))
      const tail = reading ? this.#tailOf(prompt) : ''
      const sequences = this.#scheduler.add(choices, job.priority ?? 0, now)
      for (const [j, sequence] of sequences.entries()) {
        const detokenizer = this.#text.createDetokenizer({
          skipSpecialTokens: true,
          continuation,
          ...(reading && { keep: reading.keep }),
        })
        accepted.addChoice(p * job.n + j, sequence, detokenizer, {
          ...(reading && { parser: reading.createParser(tail) }),
          endsAfterCall: job.prompt.kind === 'chat' && job.prompt.parallelToolCalls === false,
        })
        if (j === 0) cachedTokens += this.#scheduler.probe(sequence)
        // Nothing predicts the first token, and a prompt of one token is scored in no step.
        if (j === 0 && job.promptLogprobs) {
          accepted.pushPromptLogprobs(sequence, [unscoredToken(this.#bytesOf, prompt[0] ?? -1)])
        }
        if (p === 0 && j === 0) queuePosition = this.#scheduler.queuePosition(sequence)
      }
    }
    this.#jobs.add(accepted, signal)
    if (job.progress) accepted.pushProgress(queuePosition)
    this.#kick()
    return {
      jobId: accepted.id,
      model: this.#options.info.id,
      fingerprint: this.#options.info.fingerprint,
      promptTokens: prompts.reduce((n, prompt) => n + prompt.length, 0),
      cachedTokens,
      queuePosition,
      events: queue,
    }
  }

  /** The end of a prompt as text, control tokens included. */
  #tailOf(prompt: Int32Array): string {
    const detokenizer = this.#text.createDetokenizer({ skipSpecialTokens: false })
    return Array.from(prompt.subarray(-tailTokens), id => detokenizer.push(id)).join('')
  }

  #kick(): void {
    if (!this.#service.isAlive) return
    clearTimeout(this.#idleTimer)
    this.#steps.start()
  }

  #endAll(error: EngineErrorData): void {
    this.#jobs.endAll(error)
    this.#notifyIdle()
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

  #notifyIdle(): void {
    if (this.#jobs.size > 0) return
    this.#service.idle()
    if (!this.#service.isReady || this.#steps.isRunning) return
    clearTimeout(this.#idleTimer)
    this.#idleTimer = setTimeout(() => {
      try {
        this.#scheduler.checkInvariants()
      } catch (error) {
        this.#fail(error)
      }
    }, idleCheckMs).unref()
  }
}

const noTokens = new Int32Array(0)
