import { randomInt, randomUUID } from 'node:crypto'
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
import { GrammarError } from '../grammar/expr.ts'
import { GrammarConstraint } from '../grammar/grammarConstraint.ts'
import type { CompiledGrammar } from '../grammar/grammarMatcher.ts'
import { GrammarService } from '../grammar/grammarService.ts'
import type { OutputRequest } from '../grammar/outputGrammar.ts'
import { ReasoningBudget, type ReasoningBudgetOptions } from '../grammar/reasoningBudget.ts'
import type { TokenConstraint } from '../grammar/tokenConstraint.ts'
import { checkModalities } from '../media/checkModalities.ts'
import type { NativeModel, ScoreResult } from '../native.ts'
import { endsInBlock } from '../parse/outputParser.ts'
import type { TextService } from '../text/textService.ts'
import { EventQueue } from './eventQueue.ts'
import { Job } from './job.ts'
import type { KvBudget } from './kvBudget.ts'
import type { StepResult } from './launchStep.ts'
import type { ManagedEngine } from './modelRegistry.ts'
import { jobReading, type OutputReading } from './outputReading.ts'
import { bannedOpeners, type OutputTokens, outputRequest } from './outputRules.ts'
import { PromptEncoder } from './promptEncoder.ts'
import { Scheduler, type SchedulerOptions } from './scheduler.ts'
import type { Sequence, SequenceOptions } from './sequence.ts'
import { defaultBreakers, slotOptions } from './slotOptions.ts'
import { StepLoop } from './stepLoop.ts'
import type { StepPlan } from './stepPlan.ts'
import { tokenLogprob, unscoredToken } from './tokenLogprob.ts'
import { validateJob } from './validateJob.ts'

/** What the engine asks of the text service. */
export type EngineText = Pick<
  TextService,
  | 'promptTokens'
  | 'render'
  | 'decode'
  | 'pieces'
  | 'breakerTokens'
  | 'createDetokenizer'
  | 'tokenBytes'
  | 'isSpecial'
  | 'close'
> &
  Partial<Pick<TextService, 'fim' | 'bosId'>>

/** What a job's outputs are held to beside its sampling options. */
interface HeldTo {
  /** Makes the constraint of a choice. */
  constrain: (() => TokenConstraint) | undefined
  breakers: Int32Array
}

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
  /** How long a reader may lag; default 60 s. */
  stallMs?: number
}

/** Counts since the start, and the state now: what a periodic log line is made of. */
export interface EngineStats {
  running: number
  waiting: number
  kvPagesUsed: number
  kvPagesTotal: number
  steps: number
  promptTokens: number
  cachedTokens: number
  generatedTokens: number
  preemptions: number
  prefixLookups: number
  prefixHits: number
  prefixEvictions: number
}

/** More than the tags at the end of any prompt. */
const tailTokens = 32
/** A quiet moment after this long is used for the integrity check. */
const idleCheckMs = 1000
const defaultStallMs = 60_000

/** The engine that runs a model in this process: text in and out here, steps on native threads. */
export class LocalEngine implements ManagedEngine {
  readonly #options: LocalEngineOptions
  readonly #text: EngineText
  readonly #native: NativeModel
  readonly #prompts: PromptEncoder
  readonly #grammars: GrammarService
  readonly #scheduler: Scheduler
  readonly #jobs = new Set<Job>()
  readonly #jobOf = new Map<Sequence, Job>()
  readonly #steps: StepLoop
  readonly #stopIds: ReadonlySet<number>
  readonly #bytesOf = (id: number) => this.#text.tokenBytes(id)
  readonly #outputTokens: OutputTokens
  readonly #idleWaiters: (() => void)[] = []
  /** Sequences by how they ended, and jobs by the kind of error that refused them. */
  readonly #completed = new Map<string, number>()
  readonly #rejected = new Map<string, number>()
  #state: 'ready' | 'draining' | 'failed' | 'disposed' = 'ready'
  #failure = ''
  #stallTimer: NodeJS.Timeout | undefined
  #idleTimer: NodeJS.Timeout | undefined

  constructor(options: LocalEngineOptions, text: EngineText, native: NativeModel) {
    this.#options = options
    this.#text = text
    this.#native = native
    this.#stopIds = new Set([...options.generation.eosTokenIds, ...options.reading.endIds])
    const [endOfText] = options.generation.eosTokenIds
    this.#prompts = new PromptEncoder(text, options.info, endOfText)
    this.#scheduler = new Scheduler(options.scheduler, native)
    const { vocabSize } = options.info
    this.#grammars = new GrammarService(text.pieces, vocabSize)
    this.#outputTokens = {
      reading: options.reading,
      isSpecial: id => text.isSpecial(id),
      textOf: id => Buffer.from(text.tokenBytes(id)).toString('utf8'),
    }
    const { depth = 2 } = options
    this.#steps = new StepLoop(
      native,
      this.#scheduler,
      { vocabSize, depth },
      {
        onResults: (...results) => this.#takeResults(...results),
        onIdle: () => this.#notifyIdle(),
        onFailure: error => this.#fail(error),
      },
    )
  }

  get info(): ModelInfo {
    return this.#options.info
  }

  get report(): LoadReport {
    return this.#options.report
  }

  /** What applies to a request that says nothing. */
  get generation(): GenerationDefaults {
    return this.#options.generation
  }

  async submit(job: GenerateJob, signal: AbortSignal): Promise<Accepted> {
    try {
      return await this.#admit(job, signal)
    } catch (error) {
      if (error instanceof EngineError) count(this.#rejected, error.kind)
      throw error
    }
  }

  async #admit(job: GenerateJob, signal: AbortSignal): Promise<Accepted> {
    signal.throwIfAborted()
    this.#checkReady(job.owner)
    validateJob(job, this.#options.info.vocabSize)
    this.#checkNumChoices(job)
    checkModalities(job, this.#options.info.inputModalities)
    const prompts = await this.#prompts.encodeJob(job, signal)
    const constrain = await this.#constrain(job, prompts[0] ?? noTokens)
    const breakers = await this.#dryBreakers(job, signal)
    signal.throwIfAborted()
    // Much may have happened while the text worker was busy.
    this.#checkReady(job.owner)
    this.#prompts.check(job, prompts)
    return this.#accept(job, prompts, { constrain, breakers }, signal)
  }

  /** What makes the constraint of each choice, when there is one. */
  async #constrain(
    job: GenerateJob,
    prompt: Int32Array,
  ): Promise<(() => TokenConstraint) | undefined> {
    const tail = this.#tailOf(prompt)
    const request = outputRequest(job, this.#outputTokens, tail)
    const grammar = request && (await this.#compile(request))
    const budget = await this.#reasoningBudget(job, tail, grammar !== undefined)
    const hold = grammar && (() => new GrammarConstraint(grammar, this.#stopIds))
    return budget === undefined ? hold : () => new ReasoningBudget(budget, hold?.())
  }

  async #compile(request: OutputRequest): Promise<CompiledGrammar> {
    if (this.#stopIds.size === 0) {
      const message = 'The model has no token that ends a text, which a grammar needs.'
      throw new EngineError({ kind: 'unsupported', message, param: 'grammar' })
    }
    try {
      return await this.#grammars.compile(request)
    } catch (cause) {
      if (!(cause instanceof GrammarError)) throw cause
      const { message } = cause
      const param = request.grammar === undefined ? 'prompt.tools' : 'grammar'
      throw new EngineError({ kind: 'invalid_grammar', message, param }, { cause })
    }
  }

  async #reasoningBudget(
    { prompt, maxReasoningTokens }: GenerateJob,
    promptTail: string,
    isHeld: boolean,
  ): Promise<ReasoningBudgetOptions | undefined> {
    const format = this.#options.reading.format.reasoning
    if (maxReasoningTokens === undefined || prompt.kind !== 'chat' || !format) return undefined
    // Where the next message is held to something it begins on its own.
    const close = isHeld && format.name === 'harmony' ? harmonyTurn : format.written.close
    const closing = { kind: 'text' as const, text: close, addSpecialTokens: false }
    return {
      format,
      maxTokens: maxReasoningTokens,
      closeIds: [...(await this.#text.promptTokens(closing))],
      startsOpen: endsInBlock(promptTail, format),
      tokenBytes: this.#bytesOf,
    }
  }

  async #dryBreakers({ sampling: { dry } }: GenerateJob, signal: AbortSignal): Promise<Int32Array> {
    if (dry === undefined) return noTokens
    const { sequenceBreakers = defaultBreakers } = dry
    const ids = await this.#text.breakerTokens(sequenceBreakers, signal)
    return ids.filter(id => id < this.#options.info.vocabSize)
  }

  async cancel(id: string, owner: string | undefined): Promise<boolean> {
    const named = [...this.#jobs].filter(
      ({ id: jobId, job }) => (jobId === id || job.requestId === id) && job.owner === owner,
    )
    for (const job of named) {
      this.#endWithError(job, { kind: 'cancelled', message: 'The job was cancelled.' })
    }
    // Whoever waited for its place or pages may run now.
    if (named.length > 0) this.#kick()
    return named.length > 0
  }

  async embed(_job: EmbedJob): Promise<Embedded> {
    const message = `The model '${this.#options.info.id}' generates text; it does not make embeddings.`
    throw new EngineError({ kind: 'invalid', message, param: 'model' })
  }

  async tokenize(job: TokenizeJob, signal: AbortSignal): Promise<Tokenized> {
    checkModalities(job, this.#options.info.inputModalities)
    return this.#prompts.tokenize(job, this.#options.info, signal)
  }

  detokenize(job: DetokenizeJob, signal: AbortSignal): Promise<string> {
    const { skipSpecialTokens = false } = job
    return this.#text.decode(job.tokens, { skipSpecialTokens }, signal)
  }

  async models(): Promise<ModelInfo[]> {
    const status = this.#state === 'failed' ? 'failed' : this.#options.info.status
    return [{ ...this.#options.info, status }]
  }

  async health(): Promise<EngineHealth> {
    const { running, waiting, kvPagesUsed, kvPagesTotal } = this.stats()
    const state = this.#state
    return {
      ready: state === 'ready',
      ...(state === 'draining' && { reason: 'draining' as const }),
      ...((state === 'failed' || state === 'disposed') && { reason: 'failed' as const }),
      ...(this.#failure !== '' && { detail: this.#failure }),
      running,
      waiting,
      kvPagesUsed,
      kvPagesTotal,
    }
  }

  stats(): EngineStats {
    return {
      running: this.#scheduler.numRunning,
      waiting: this.#scheduler.numWaiting,
      kvPagesUsed: this.#scheduler.pool.numUsed,
      kvPagesTotal: this.#scheduler.pool.numPages,
      ...this.#scheduler.counters,
    }
  }

  async metrics(): Promise<ModelMetrics[]> {
    const { steps: _steps, ...counts } = this.stats()
    return [
      {
        model: this.#options.info.id,
        capacity: this.#options.scheduler.maxSequences,
        ...counts,
        completed: Object.fromEntries(this.#completed),
        rejected: Object.fromEntries(this.#rejected),
      },
    ]
  }

  /** Refuses new jobs and waits for the accepted ones; those not done after `deadlineMs` end with an error. */
  async drain(deadlineMs: number): Promise<void> {
    if (this.#state === 'ready') this.#state = 'draining'
    const timeout = setTimeout(() => {
      this.#endAll({ kind: 'draining', message: 'The server shut down before the end.' })
    }, deadlineMs)
    await this.#whenIdle()
    clearTimeout(timeout)
  }

  /** Ends every job with an error, frees the model's memory and ends the text worker. */
  async dispose(): Promise<void> {
    if (this.#state === 'disposed') return
    this.#state = 'disposed'
    clearTimeout(this.#stallTimer)
    clearTimeout(this.#idleTimer)
    this.#endAll({ kind: 'unavailable', message: 'The model was unloaded.' })
    await Promise.all([this.#native.dispose(), this.#text.close(), this.#grammars.close()])
  }

  /** @throws when the scheduler's bookkeeping is inconsistent (tests) */
  checkInvariants(): void {
    this.#scheduler.checkInvariants()
  }

  #checkReady(owner: string | undefined): void {
    if (this.#state === 'draining') {
      throw new EngineError({ kind: 'draining', message: 'The server is shutting down.' })
    }
    if (this.#state !== 'ready') {
      const message = `The model is not available${this.#failure && `: ${this.#failure}`}.`
      throw new EngineError({ kind: 'unavailable', message })
    }
    if (this.#scheduler.isFull(owner)) {
      throw new EngineError({
        kind: 'busy',
        message: `${this.#scheduler.numWaitingOf(owner)} of your requests are waiting already.`,
        retryAfterMs: this.#scheduler.retryAfterMs(owner),
      })
    }
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
    const abort = () => this.#abort(accepted)
    const queue = new EventQueue(() => this.#resume(accepted), abort)
    const accepted = new Job(`gen-${randomUUID()}`, job, now, queue)
    const reading = jobReading(job, this.#options.reading)
    let cachedTokens = 0
    let queuePosition = 0
    for (const [p, prompt] of prompts.entries()) {
      const choices = this.#choices(job, prompt, held)
      // After a prompt of nothing but control tokens the output begins a text, and its first space may not count.
      const continuation = prompt.some(id => !this.#text.isSpecial(id))
      const sequences = this.#scheduler.add(choices, job.priority ?? 0, now)
      for (const [j, sequence] of sequences.entries()) {
        const detokenizer = this.#text.createDetokenizer({
          skipSpecialTokens: true,
          continuation,
          ...(reading && { keep: reading.keep }),
        })
        accepted.addChoice(p * job.n + j, sequence, detokenizer, {
          ...(reading && { parser: reading.createParser(this.#tailOf(prompt)) }),
          endsAfterCall: job.prompt.kind === 'chat' && job.prompt.parallelToolCalls === false,
        })
        this.#jobOf.set(sequence, accepted)
        if (j === 0) cachedTokens += this.#scheduler.probe(sequence)
        // Nothing predicts the first token, and a prompt of one token is scored in no step.
        if (j === 0 && job.promptLogprobs) {
          accepted.pushPromptLogprobs(sequence, [unscoredToken(this.#bytesOf, prompt[0] ?? -1)])
        }
        if (p === 0 && j === 0) queuePosition = this.#scheduler.queuePosition(sequence)
      }
    }
    this.#jobs.add(accepted)
    signal.addEventListener('abort', abort, { once: true })
    accepted.onEnd = () => signal.removeEventListener('abort', abort)
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

  #choices(
    job: GenerateJob,
    prompt: Int32Array,
    { constrain, breakers }: HeldTo,
  ): SequenceOptions[] {
    const { generation, info } = this.#options
    const { maxModelLen } = info
    const seed = job.sampling.seed ?? this.#options.seed ?? randomInt(2 ** 48 - 1)
    const top = job.logprobs?.top ?? 0
    const banned = bannedOpeners(job, this.#outputTokens)
    const slot = slotOptions(job.sampling, generation, {
      seed,
      topLogprobs: top,
      history: prompt,
      banned,
      breakers,
    })
    return Array.from({ length: job.n }, (_, choice) => ({
      prompt,
      maxLength: Math.min(maxModelLen, prompt.length + (job.maxTokens ?? maxModelLen)),
      stopIds: job.ignoreEos ? noIds : this.#stopIds,
      slot: { ...slot, choice },
      ...(job.promptLogprobs && { promptLogprobs: top }),
      ...(constrain && { constraint: constrain() }),
      cacheSalt: job.cacheSalt ?? '',
      ...(job.owner !== undefined && { owner: job.owner }),
    }))
  }

  #kick(): void {
    if (this.#state === 'failed' || this.#state === 'disposed') return
    clearTimeout(this.#idleTimer)
    this.#steps.start()
  }

  #takeResults(plan: StepPlan, { sampled, scored }: StepResult, ms: number, now: number): void {
    if (scored !== undefined) this.#takeScores(plan, scored)
    this.#scheduler.apply(plan.id, sampled.tokens, ms, now, (sequence, token, row) => {
      const job = this.#jobOf.get(sequence)
      if (job === undefined) return
      if (token < 0 && row >= 0) {
        const message =
          'The model gave no token: its logits are not numbers, or every token is banned.'
        this.#endWithError(job, { kind: 'internal', message })
        return
      }
      const top = job.job.logprobs?.top
      const logprob =
        top === undefined || row < 0
          ? undefined
          : tokenLogprob(this.#bytesOf, token, sampled, row, top)
      const reason = job.takeToken(sequence, token, logprob, now)
      if (reason === undefined) return
      count(this.#completed, reason)
      this.#scheduler.finish(sequence)
    })
    for (const job of this.#jobs) this.#afterStep(job, now)
  }

  #takeScores(plan: StepPlan, scored: ScoreResult): void {
    const bySequence = Map.groupBy(plan.score.entries(), ([, { sequence }]) => sequence)
    for (const [sequence, entries] of bySequence) {
      const logprobs = entries.map(([i, { position }]) => {
        const top = sequence.options.promptLogprobs ?? 0
        return tokenLogprob(this.#bytesOf, sequence.tokens[position] ?? -1, scored, i, top)
      })
      this.#jobOf.get(sequence)?.pushPromptLogprobs(sequence, logprobs)
    }
  }

  /** Sends what the step made, and ends or pauses the job. */
  #afterStep(job: Job, now: number): void {
    if (job.isDone) {
      this.#forget(job)
      job.queue.close()
      return
    }
    if (job.job.progress) {
      const [first] = job.sequences
      if (first !== undefined) job.pushProgress(this.#scheduler.queuePosition(first))
    }
    job.queue.flush()
    if (job.queue.isFull && job.stalledSinceMs < 0) {
      job.stalledSinceMs = now
      for (const sequence of job.sequences) this.#scheduler.setPaused(sequence, true)
      this.#watchStalled()
    }
  }

  #resume(job: Job): void {
    if (job.stalledSinceMs < 0) return
    job.stalledSinceMs = -1
    for (const sequence of job.sequences) this.#scheduler.setPaused(sequence, false)
    this.#kick()
  }

  /** Drops jobs whose readers have lagged too long; looks again while any lags. */
  #watchStalled(): void {
    const { stallMs = defaultStallMs } = this.#options
    this.#stallTimer ??= setTimeout(() => {
      this.#stallTimer = undefined
      const now = performance.now()
      let anyStalled = false
      for (const job of this.#jobs) {
        if (job.stalledSinceMs < 0) continue
        if (now - job.stalledSinceMs < stallMs) anyStalled = true
        else {
          const message = `The reader took nothing for ${Math.round(stallMs / 1000)} s.`
          this.#endWithError(job, { kind: 'timeout', message })
        }
      }
      if (anyStalled) this.#watchStalled()
      this.#notifyIdle()
    }, stallMs / 4).unref()
  }

  #abort(job: Job): void {
    if (!this.#jobs.has(job)) return
    count(this.#completed, 'aborted', job.numUnfinished)
    this.#forget(job)
    job.queue.abandon()
    // Whoever waited for its place or pages may run now.
    this.#kick()
  }

  #endWithError(job: Job, error: EngineErrorData): void {
    count(this.#completed, 'error', job.numUnfinished)
    this.#forget(job)
    job.pushError(error)
    job.queue.close()
  }

  #forget(job: Job): void {
    this.#jobs.delete(job)
    job.onEnd()
    for (const sequence of job.sequences) {
      this.#jobOf.delete(sequence)
      this.#scheduler.finish(sequence)
    }
  }

  #endAll(error: EngineErrorData): void {
    for (const job of this.#jobs) this.#endWithError(job, error)
    this.#notifyIdle()
  }

  /** The executor or the bookkeeping broke: nothing it would say can be trusted any more. */
  #fail(error: unknown): void {
    if (this.#state === 'disposed') return
    this.#state = 'failed'
    this.#failure = error instanceof Error ? error.message : String(error)
    this.#steps.drop()
    this.#endAll({ kind: 'internal', message: `The engine failed: ${this.#failure}` })
  }

  #whenIdle(): Promise<void> {
    if (this.#jobs.size === 0) return Promise.resolve()
    return new Promise(resolve => this.#idleWaiters.push(resolve))
  }

  #notifyIdle(): void {
    if (this.#jobs.size > 0) return
    for (const resolve of this.#idleWaiters.splice(0)) resolve()
    if (this.#state !== 'ready' || this.#steps.isRunning) return
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

function count(counts: Map<string, number>, key: string, by = 1): void {
  counts.set(key, (counts.get(key) ?? 0) + by)
}

const noIds: ReadonlySet<number> = new Set()
const noTokens = new Int32Array(0)
/** Ends a message and begins the next, of a kind that is still open. */
const harmonyTurn = '<|end|><|start|>assistant'
