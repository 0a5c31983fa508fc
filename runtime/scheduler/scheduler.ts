import { KvCache, type KvCacheOptions } from './kvCache.ts'
import type { PagePool } from './pages.ts'
import { sharePrefill } from './prefillShare.ts'
import type { Sequence, SequenceOptions } from './sequence.ts'
import { type SequenceQueueOptions, SequenceQueues, type SlotAllocator } from './sequenceQueues.ts'
import { StepBatchBuilder } from './stepBatch.ts'
import { StepDraft, type StepPlan, type StepRecord } from './stepPlan.ts'
import { StepTime } from './stepTime.ts'

export interface SchedulerOptions extends KvCacheOptions, SequenceQueueOptions {
  /** Tokens and logit rows of one step. */
  maxBatchedTokens: number
  maxLogitRows: number
  /** Prompts are computed in one step each, whatever their length (models that see both ways). */
  wholePrompts?: boolean
  /** Aim for the length of a step while anything decodes, and while only prefill runs. */
  decodeStepMs?: number
  prefillStepMs?: number
}

/** What a prefill chunk gets at least, however slow the machine: below this a step costs its weights, not its tokens. */
const minChunk = 16

/**
 * Continuous batching as a pure state machine: `plan` makes the next step out of decode rows and prefill chunks, `apply`
 * takes the tokens it drew. No I/O, timers or promises; time is an argument. Steps may be planned ahead of results, in
 * order; pages are given back only after the last step that uses them.
 */
export class Scheduler {
  readonly stepTime = new StepTime()
  readonly #options: SchedulerOptions
  readonly #kv: KvCache
  readonly #builder: StepBatchBuilder
  readonly #queues: SequenceQueues
  readonly #inFlight: StepRecord[] = []
  #nextStep = 0
  #stepsDone = 0
  #generatedTokens = 0
  /** Mean milliseconds from first step to finish, for `retryAfterMs`; 0 until one finished. */
  #serviceMs = 0

  constructor(options: SchedulerOptions, slots: SlotAllocator) {
    if (options.maxBatchedTokens < options.maxSequences + minChunk) {
      throw new Error(`maxBatchedTokens must be at least maxSequences + ${minChunk}`)
    }
    if (options.wholePrompts && options.prefixCache) {
      throw new Error('prompts that are computed whole have no use for a prefix cache')
    }
    if (options.maxLogitRows < options.maxSequences) {
      throw new Error('maxLogitRows must be at least maxSequences')
    }
    this.#options = options
    this.#kv = new KvCache(options)
    this.#queues = new SequenceQueues(options, this.#kv, slots)
    this.#builder = new StepBatchBuilder(
      {
        maxTokens: options.maxBatchedTokens,
        maxSequences: options.maxSequences,
        maxLogitRows: options.maxLogitRows,
      },
      options.groups.length,
    )
  }

  /** Counts since the start. */
  get counters() {
    return {
      steps: this.#stepsDone,
      generatedTokens: this.#generatedTokens,
      prefixEvictions: this.pool.numEvicted,
      ...this.#queues.counters,
    }
  }

  get pool(): PagePool {
    return this.#kv.pool
  }

  get numRunning(): number {
    return this.#queues.running.length
  }

  get numWaiting(): number {
    return this.#queues.numWaiting
  }

  get numInFlight(): number {
    return this.#inFlight.length
  }

  /** True when nothing is running, waiting or under way. */
  get isIdle(): boolean {
    return this.numRunning + this.numWaiting + this.numInFlight === 0
  }

  numWaitingOf(owner: string | undefined): number {
    return this.#queues.numWaitingOf(owner)
  }

  /** True when no more of this owner may wait; those that will start at once do not count. */
  isFull(owner: string | undefined): boolean {
    return this.#queues.isFull(owner)
  }

  /** A guess at when one of the owner's waiting sequences will have started, from measured service times and prefill rate. */
  retryAfterMs(owner: string | undefined): number {
    const service = this.#serviceMs || 128 * (this.stepTime.decodeMs(this.numRunning) || 50)
    const prompts = this.#queues.running.reduce(
      (n, s) => n + Math.max(0, s.promptLength - s.planned),
      0,
    )
    const turnMs = service / Math.max(1, this.numRunning)
    const ms =
      turnMs * this.#queues.numContending(owner) + prompts * this.stepTime.prefillMsPerToken
    return Math.round(Math.min(60_000, Math.max(250, ms)))
  }

  /** Tokens the sequence would find in the prefix cache if it started now. */
  probe(sequence: Sequence): number {
    return this.#kv.findPrefix(sequence).tokens
  }

  /** Queues the choices of one prompt; the first prefills it for all. Prompts are at least one token and fit the pool. */
  add(choices: SequenceOptions[], priority: number, nowMs: number): Sequence[] {
    return this.#queues.add(choices, priority, nowMs)
  }

  /** Ends a sequence, in whatever state; its pages are free after the last step that uses them. */
  finish(sequence: Sequence): void {
    this.#queues.finish(sequence)
  }

  /** A paused sequence is not scheduled, and is the first to lose its pages when others need them. */
  setPaused(sequence: Sequence, paused: boolean): void {
    sequence.paused = paused
  }

  /** Sequences that will start before this one; 0 for one that runs. */
  queuePosition(sequence: Sequence): number {
    return this.#queues.queuePosition(sequence)
  }

  /** Makes the next step, or null when there is nothing that could run now. */
  plan(nowMs: number): StepPlan | null {
    this.#queues.admit(nowMs)
    const chunks = this.#chunks()
    if (chunks.size === 0) return null

    const draft = new StepDraft(this.#nextStep, this.#builder)
    const { record } = draft
    const planned = new Set<Sequence>()
    // Oldest first: whoever must give up its pages for an earlier one has not been planned yet. The list may lose
    // sequences to preemption on the way, always behind the cursor's sequence or paused ones, hence the copy.
    for (const sequence of [...this.#queues.running]) {
      const wanted = chunks.get(sequence) ?? 0
      if (wanted === 0 || sequence.state !== 'running') continue
      const limited = this.#limitToLogitRows(sequence, wanted, draft)
      const chunk = this.#queues.reserve(sequence, limited, planned)
      if (chunk === 0 || (chunk < limited && this.#options.wholePrompts)) continue
      planned.add(sequence)
      const end = sequence.planned + chunk
      draft.compute(sequence, end)
      record.filled.push(...this.#kv.filledPages(sequence, sequence.planned, end))
      sequence.planned = end
      sequence.lastStep = record.id
      if (end < sequence.totalLength) continue
      const choices = [sequence, ...this.#queues.fork(sequence, record.id, draft.copies)]
      if (sequence.totalLength >= sequence.options.maxLength) {
        record.prefilled.push(...choices)
        continue
      }
      draft.sample(choices, end)
      for (const choice of choices) {
        choice.pending++
        planned.add(choice)
      }
    }
    if (draft.isEmpty) return null
    this.#nextStep++
    this.#inFlight.push(record)
    return draft.plan(this.stepTime.expectedMs(record.numDecodeRows, record.numPrefillTokens))
  }

  /**
   * Takes the results of the oldest step under way.
   * @param tokens one for each sampled row
   * @param ms measured length of the step
   * @param onToken called for each token that counts, in the order of its sequence, with the row it was drawn in or -1 for one
   *   that was known before; `finishReason` is set and the sequence finished when it was the last. A token of -1 says that
   *   none could be drawn, or one that is not allowed, and ends the sequence; a sequence that was to draw nothing reports its end with token and row -1
   *   and `length`. May call `finish`.
   */
  apply(
    stepId: number,
    tokens: Int32Array,
    ms: number,
    nowMs: number,
    onToken: (sequence: Sequence, token: number, row: number) => void,
  ): void {
    const record = this.#inFlight.shift()
    if (record?.id !== stepId) throw new Error(`step ${stepId} is not the oldest under way`)
    this.#stepsDone++
    this.stepTime.record(ms, record.numDecodeRows, record.numPrefillTokens)
    this.#kv.enter(record.filled)
    for (const { sequence, end, known } of record.computed) {
      sequence.computed = Math.max(sequence.computed, end)
      while (!isFinished(sequence) && sequence.delivered < known) {
        this.#generatedTokens++
        onToken(sequence, sequence.tokens[sequence.delivered++] ?? -1, -1)
      }
    }
    for (const [row, sequence] of record.sampled.entries()) {
      const isForced = record.forced.has(sequence)
      if (!isForced) sequence.pending--
      if (isFinished(sequence)) continue
      const drawn = tokens[row] ?? -1
      const isTaken = drawn >= 0 && (isForced || sequence.append(drawn))
      const token = isTaken ? drawn : -1
      if (isTaken) {
        if (isForced) sequence.delivered++
        this.#generatedTokens++
        if (sequence.options.stopIds.has(token)) sequence.finishReason = 'stop'
        else if (sequence.delivered >= sequence.options.maxLength) sequence.finishReason = 'length'
      }
      if (token < 0 || sequence.finishReason !== null) this.finish(sequence)
      onToken(sequence, token, row)
      if (isFinished(sequence)) {
        const service = nowMs - sequence.startedMs
        this.#serviceMs += (service - this.#serviceMs) * (this.#serviceMs === 0 ? 1 : 0.1)
      }
    }
    for (const sequence of record.prefilled) {
      if (isFinished(sequence)) continue
      sequence.finishReason = 'length'
      this.finish(sequence)
      onToken(sequence, -1, -1)
    }
    this.#kv.stepDone(stepId)
  }

  /** Forgets steps that will never report (the executor failed). Pages of finished sequences become free. */
  dropInFlight(): void {
    for (const record of this.#inFlight) {
      for (const sequence of record.sampled) {
        if (!record.forced.has(sequence)) sequence.pending--
      }
      this.#kv.stepDone(record.id)
    }
    this.#inFlight.length = 0
  }

  /** @throws when reference counts, tables and states disagree (tests, and when idle) */
  checkInvariants(): void {
    this.#queues.checkInvariants()
    if (this.isIdle && this.pool.numAvailable !== this.pool.numPages) {
      throw new Error(`${this.pool.numUsed} pages leaked`)
    }
  }

  /** Tokens to run per sequence: every decode row, and prefill within the token and the time budget. */
  #chunks(): Map<Sequence, number> {
    const decodes: Sequence[] = []
    const prefills: Sequence[] = []
    for (const sequence of this.#queues.running) {
      if (sequence.paused || sequence.remaining === 0) continue
      if (sequence.remaining === 1) decodes.push(sequence)
      else prefills.push(sequence)
    }
    const chunks = new Map<Sequence, number>()
    for (const sequence of decodes) chunks.set(sequence, 1)
    if (this.#options.wholePrompts) {
      let left = this.#options.maxBatchedTokens - decodes.length
      for (const sequence of prefills) {
        left -= sequence.remaining
        // In order: a long prompt would otherwise wait for ever.
        if (left < 0) break
        chunks.set(sequence, sequence.remaining)
      }
      return chunks
    }
    const { decodeStepMs = 60, prefillStepMs = 250, maxBatchedTokens } = this.#options
    const targetMs = decodes.length > 0 ? decodeStepMs : prefillStepMs
    const inTime = Math.max(minChunk, this.stepTime.prefillTokens(targetMs, decodes.length))
    const budget = Math.min(inTime, maxBatchedTokens - decodes.length)
    for (const [i, share] of sharePrefill(prefills, budget).entries()) {
      const sequence = prefills[i]
      if (sequence !== undefined && share > 0) chunks.set(sequence, share)
    }
    return chunks
  }

  /** Tokens to score want a logit row each, beside one row for every running sequence. */
  #limitToLogitRows(sequence: Sequence, chunk: number, draft: StepDraft): number {
    if (sequence.scored >= sequence.length - 1) return chunk
    const room = this.#options.maxLogitRows - draft.numLogitRows - (this.numRunning - 1)
    const unscored = Math.max(0, sequence.scored - sequence.planned)
    return Math.max(1, Math.min(chunk, unscored + room - 1))
  }
}

function isFinished(sequence: Sequence): boolean {
  return sequence.state === 'finished'
}
