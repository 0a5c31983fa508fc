import type { SampleBatch, SlotOptions, StepBatch } from '../native.ts'
import { type FilledPage, KvCache } from './kvCache.ts'
import type { KvGroup, PagePool } from './pages.ts'
import { sharePrefill } from './prefillShare.ts'
import { compareOrder, Sequence, type SequenceOptions } from './sequence.ts'
import { StepBatchBuilder } from './stepBatch.ts'
import { StepTime } from './stepTime.ts'

export interface SchedulerOptions {
  groups: readonly KvGroup[]
  numPages: number
  /** Sequences that run at once, and tokens and logit rows of one step. */
  maxSequences: number
  maxBatchedTokens: number
  maxLogitRows: number
  /** Slots open at once: running and preempted sequences hold one each. */
  maxSlots: number
  /** Sequences that may wait before `isFull`. */
  maxWaiting: number
  prefixCache: boolean
  /** Aim for the length of a step while anything decodes, and while only prefill runs. */
  decodeStepMs?: number
  prefillStepMs?: number
}

/** The calls a plan makes at once; they take effect after everything queued before. */
export interface SlotAllocator {
  openSlot(options: SlotOptions): number
  closeSlot(slot: number): void
}

/** One step: run `batch`, draw `sample`, score `score`, copy `copies`, in this order. Valid until the next plan. */
export interface StepPlan {
  id: number
  batch: StepBatch
  sample: SampleBatch
  /** The sequence of each sampled row. */
  sampled: Sequence[]
  /** Prompt tokens to score: `row` is a logit row, `position` that of the token. */
  score: { sequence: Sequence; row: number; position: number }[]
  copies: { from: number[]; to: number[] }
  numDecodeRows: number
  numPrefillTokens: number
  /** From earlier steps. */
  expectedMs: number
}

interface StepRecord {
  id: number
  sampled: Sequence[]
  numDecodeRows: number
  numPrefillTokens: number
  computed: { sequence: Sequence; end: number }[]
  /** Sequences that wanted their prompt computed and nothing drawn. */
  prefilled: Sequence[]
  filled: FilledPage[]
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
  readonly counters = {
    steps: 0,
    preemptions: 0,
    promptTokens: 0,
    cachedTokens: 0,
    generatedTokens: 0,
  }
  readonly #options: SchedulerOptions
  readonly #groups: readonly KvGroup[]
  readonly #slots: SlotAllocator
  readonly #kv: KvCache
  readonly #builder: StepBatchBuilder
  readonly #running: Sequence[] = []
  readonly #waiting: Sequence[] = []
  readonly #forking = new Set<Sequence>()
  readonly #inFlight: StepRecord[] = []
  #nextStep = 0
  #nextArrival = 0
  #numOpenSlots = 0
  /** Mean milliseconds from first step to finish, for `retryAfterMs`; 0 until one finished. */
  #serviceMs = 0

  constructor(options: SchedulerOptions, slots: SlotAllocator) {
    if (options.maxBatchedTokens < options.maxSequences + minChunk) {
      throw new Error(`maxBatchedTokens must be at least maxSequences + ${minChunk}`)
    }
    if (options.maxLogitRows < options.maxSequences) {
      throw new Error('maxLogitRows must be at least maxSequences')
    }
    this.#options = options
    this.#groups = options.groups
    this.#slots = slots
    this.#kv = new KvCache(options)
    this.#builder = new StepBatchBuilder(
      {
        maxTokens: options.maxBatchedTokens,
        maxSequences: options.maxSequences,
        maxLogitRows: options.maxLogitRows,
      },
      options.groups.length,
    )
  }

  get pool(): PagePool {
    return this.#kv.pool
  }

  get numRunning(): number {
    return this.#running.length
  }

  get numWaiting(): number {
    return this.#waiting.length + this.#forking.size
  }

  get numInFlight(): number {
    return this.#inFlight.length
  }

  /** True when nothing is running, waiting or under way. */
  get isIdle(): boolean {
    return this.numRunning + this.numWaiting + this.numInFlight === 0
  }

  /** True when no more may wait; those that will start at once do not count. */
  get isFull(): boolean {
    const places = Math.max(0, this.#options.maxSequences - this.numRunning)
    return this.numWaiting - places >= this.#options.maxWaiting
  }

  /** A guess at when one of the waiting sequences will have started, from measured service times and prefill rate. */
  retryAfterMs(): number {
    const service = this.#serviceMs || 128 * (this.stepTime.decodeMs(this.numRunning) || 50)
    const prompts = this.#running.reduce((n, s) => n + Math.max(0, s.promptLength - s.planned), 0)
    const ms = service / Math.max(1, this.numRunning) + prompts * this.stepTime.prefillMsPerToken
    return Math.round(Math.min(60_000, Math.max(250, ms)))
  }

  /** Tokens the sequence would find in the prefix cache if it started now. */
  probe(sequence: Sequence): number {
    return this.#kv.findPrefix(sequence).tokens
  }

  /** Queues the choices of one prompt; the first prefills it for all. Prompts are at least one token and fit the pool. */
  add(choices: SequenceOptions[], priority: number, nowMs: number): Sequence[] {
    const sequences = choices.map(
      (options, i) =>
        new Sequence(
          options,
          { priority, arrival: this.#nextArrival++, arrivedMs: nowMs },
          this.#groups,
          i === 0 ? 'waiting' : 'forking',
        ),
    )
    const [leader, ...followers] = sequences
    if (leader === undefined) return []
    leader.followers = followers
    for (const follower of followers) this.#forking.add(follower)
    insertInOrder(this.#waiting, leader)
    return sequences
  }

  /** Ends a sequence, in whatever state; its pages are free after the last step that uses them. */
  finish(sequence: Sequence): void {
    if (sequence.state === 'finished') return
    if (sequence.state === 'running') {
      this.#kv.release(sequence)
      removeFrom(this.#running, sequence)
    } else if (sequence.state === 'waiting') removeFrom(this.#waiting, sequence)
    else this.#forking.delete(sequence)
    sequence.state = 'finished'
    if (sequence.slot >= 0) {
      this.#slots.closeSlot(sequence.slot)
      this.#numOpenSlots--
    }
    // Its followers can no longer fork: the first of them leads now.
    const [leader, ...followers] = sequence.followers.filter(f => f.state === 'forking')
    sequence.followers = []
    if (leader !== undefined) {
      leader.followers = followers
      this.#enqueueFollower(leader)
    }
  }

  /** A paused sequence is not scheduled, and is the first to lose its pages when others need them. */
  setPaused(sequence: Sequence, paused: boolean): void {
    sequence.paused = paused
  }

  /** Sequences that will start before this one; 0 for one that runs. */
  queuePosition(sequence: Sequence): number {
    if (sequence.state === 'running' || sequence.state === 'finished') return 0
    return this.#waiting.reduce((n, other) => n + (compareOrder(other, sequence) < 0 ? 1 : 0), 0)
  }

  /** Makes the next step, or null when there is nothing that could run now. */
  plan(nowMs: number): StepPlan | null {
    this.#admit(nowMs)
    const decodes: Sequence[] = []
    const prefills: Sequence[] = []
    for (const sequence of this.#running) {
      if (sequence.paused || sequence.remaining === 0) continue
      if (sequence.remaining === 1) decodes.push(sequence)
      else prefills.push(sequence)
    }
    const chunks = this.#chunks(decodes, prefills)
    if (chunks.size === 0) return null

    const builder = this.#builder
    builder.reset()
    const record: StepRecord = {
      id: this.#nextStep,
      sampled: [],
      numDecodeRows: 0,
      numPrefillTokens: 0,
      computed: [],
      prefilled: [],
      filled: [],
    }
    const planned = new Set<Sequence>()
    const sampleRows: number[] = []
    const samplePositions: number[] = []
    const score: StepPlan['score'] = []
    const copies = { from: [], to: [] }
    // Oldest first: whoever must give up its pages for an earlier one has not been planned yet. `#running` may lose
    // sequences to preemption on the way, always behind the cursor's sequence or paused ones, hence the copy.
    for (const sequence of [...this.#running]) {
      const wanted = chunks.get(sequence) ?? 0
      if (wanted === 0 || sequence.state !== 'running') continue
      const chunk = this.#reserve(sequence, this.#limitToLogitRows(sequence, wanted), planned)
      if (chunk === 0) continue
      planned.add(sequence)
      if (sequence.remaining === 1) record.numDecodeRows++
      else record.numPrefillTokens += chunk

      const from = sequence.planned
      const end = from + chunk
      const firstRow = builder.numTokens
      builder.addSequence(sequence, from, end)
      this.#addScoreRows(sequence, from, end, firstRow, score)
      record.computed.push({ sequence, end })
      record.filled.push(...this.#kv.filledPages(sequence, from, end))
      sequence.planned = end
      sequence.lastStep = record.id
      if (end < sequence.totalLength) continue
      if (sequence.totalLength >= sequence.options.maxLength) {
        record.prefilled.push(sequence, ...this.#fork(sequence, record.id, copies))
        continue
      }
      const row = builder.addLogitRow(builder.numTokens - 1)
      const drawing = [sequence, ...this.#fork(sequence, record.id, copies)]
      for (const choice of drawing) {
        sampleRows.push(row)
        samplePositions.push(end)
        record.sampled.push(choice)
        choice.pending++
        planned.add(choice)
      }
    }
    if (builder.numTokens === 0) return null
    this.#nextStep++
    this.#inFlight.push(record)
    return {
      id: record.id,
      batch: builder.batch(),
      sample: {
        rows: Int32Array.from(sampleRows),
        slots: Int32Array.from(record.sampled, s => s.slot),
        positions: Int32Array.from(samplePositions),
      },
      sampled: record.sampled,
      score,
      copies,
      numDecodeRows: record.numDecodeRows,
      numPrefillTokens: record.numPrefillTokens,
      expectedMs: this.stepTime.expectedMs(record.numDecodeRows, record.numPrefillTokens),
    }
  }

  /**
   * Takes the results of the oldest step under way.
   * @param tokens one for each sampled row
   * @param ms measured length of the step
   * @param onToken called for each token that counts, in row order, with the row; `finishReason` is set and the sequence
   *   finished when it was the last. A token of -1 says that none could be drawn, and ends the sequence; a sequence that
   *   was to draw nothing reports its end with token and row -1 and `length`. May call `finish`.
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
    this.counters.steps++
    this.stepTime.record(ms, record.numDecodeRows, record.numPrefillTokens)
    for (const { sequence, end } of record.computed) {
      sequence.computed = Math.max(sequence.computed, end)
    }
    this.#kv.enter(record.filled)
    for (const [row, sequence] of record.sampled.entries()) {
      sequence.pending--
      if (isFinished(sequence)) continue
      const token = tokens[row] ?? -1
      if (token >= 0) {
        sequence.append(token)
        this.counters.generatedTokens++
        if (sequence.options.stopIds.has(token)) sequence.finishReason = 'stop'
        else if (sequence.length >= sequence.options.maxLength) sequence.finishReason = 'length'
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
      for (const sequence of record.sampled) sequence.pending--
      this.#kv.stepDone(record.id)
    }
    this.#inFlight.length = 0
  }

  /** @throws when reference counts, tables and states disagree (tests, and when idle) */
  checkInvariants(): void {
    this.#kv.checkInvariants(this.#running)
    for (const { state } of this.#running) {
      if (state !== 'running') throw new Error(`a ${state} sequence is running`)
    }
    for (const sequence of this.#waiting) {
      if (sequence.state !== 'waiting') throw new Error(`a ${sequence.state} sequence is waiting`)
      if (sequence.tables.some(t => t.length > 0)) throw new Error('a waiting one holds pages')
    }
    let slots = 0
    for (const s of [...this.#running, ...this.#waiting]) if (s.slot >= 0) slots++
    if (slots !== this.#numOpenSlots)
      throw new Error(`${slots} slots, counted ${this.#numOpenSlots}`)
    if (this.isIdle && this.pool.numAvailable !== this.pool.numPages) {
      throw new Error(`${this.pool.numUsed} pages leaked`)
    }
  }

  /** Starts waiting sequences in order while there is room; none overtakes one that could run but for room. */
  #admit(nowMs: number): void {
    for (let i = 0; i < this.#waiting.length; ) {
      const sequence = this.#waiting[i]
      if (sequence === undefined) return
      if (sequence.paused) {
        i++
        continue
      }
      if (sequence.pending > 0) return
      if (sequence.slot < 0 && this.#numOpenSlots >= this.#options.maxSlots) return
      if (this.#running.length >= this.#options.maxSequences) {
        if (!this.#preemptPaused()) return
        // The preempted one may now be in front of the queue.
        i = this.#waiting.indexOf(sequence)
      }
      if (!this.#takePrefix(sequence)) {
        if (!this.#preemptPaused()) return
        i = this.#waiting.indexOf(sequence)
        continue
      }
      this.#waiting.splice(i, 1)
      this.#start(sequence, nowMs)
    }
  }

  /** Gives a waiting sequence its prefix hit when what it needs beyond it is available. */
  #takePrefix(sequence: Sequence): boolean {
    const hit = this.#kv.findPrefix(sequence)
    if (this.#running.length > 0 || this.#kv.numReturning > 0) {
      let cost = this.#kv.costOfStart(sequence, hit)
      for (const other of this.#running) cost += this.#kv.costToContinue(other)
      if (cost > this.pool.numAvailable) return false
    }
    this.#kv.start(sequence, hit)
    if (sequence.startedMs < 0) {
      sequence.cachedTokens = hit.tokens
      this.counters.cachedTokens += hit.tokens
      this.counters.promptTokens += sequence.promptLength
    }
    return true
  }

  #start(sequence: Sequence, nowMs: number): void {
    sequence.state = 'running'
    insertInOrder(this.#running, sequence)
    if (sequence.startedMs < 0) sequence.startedMs = nowMs
    // Last, since it may throw: the engine then fails, and ends a sequence that is where its state says.
    if (sequence.slot < 0) {
      sequence.slot = this.#slots.openSlot(sequence.options.slot)
      this.#numOpenSlots++
    }
  }

  /** Tokens to run per sequence: every decode row, and prefill within the token and the time budget. */
  #chunks(decodes: Sequence[], prefills: Sequence[]): Map<Sequence, number> {
    const chunks = new Map<Sequence, number>()
    for (const sequence of decodes) chunks.set(sequence, 1)
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

  /** Scored prompts want a logit row per token, beside one row for every running sequence. */
  #limitToLogitRows(sequence: Sequence, chunk: number): number {
    if (sequence.options.promptLogprobs === undefined) return chunk
    const room =
      this.#options.maxLogitRows - this.#builder.numLogitRows - (this.#running.length - 1)
    const unscored = Math.max(0, sequence.scored - sequence.planned)
    return Math.max(1, Math.min(chunk, unscored + room - 1))
  }

  /**
   * Takes the pages for the next `chunk` tokens, from later sequences if need be.
   * @returns tokens there is room for; 0 when the sequence must sit this step out
   */
  #reserve(sequence: Sequence, chunk: number, planned: ReadonlySet<Sequence>): number {
    this.#kv.releaseBehindWindow(sequence)
    for (;;) {
      const needed = this.#kv.pagesFor(sequence, chunk)
      if (needed <= this.pool.numAvailable) break
      // Enough comes back with steps under way: nobody else has to go.
      if (needed <= this.pool.numAvailable + this.#kv.numReturning) return 0
      const victim = this.#victim(sequence, planned)
      if (victim !== undefined) this.#preempt(victim)
      else if (chunk > 1) chunk = chunk >> 1
      else return 0
    }
    this.#kv.extend(sequence, chunk)
    return chunk
  }

  /** Whose pages go first: paused sequences, then the latest arrival behind `sequence`. */
  #victim(sequence: Sequence, planned: ReadonlySet<Sequence>): Sequence | undefined {
    const paused = this.#running.findLast(s => s.paused)
    if (paused !== undefined) return paused
    const last = this.#running.at(-1)
    return last === undefined || last === sequence || planned.has(last) ? undefined : last
  }

  #preemptPaused(): boolean {
    const paused = this.#running.findLast(s => s.paused)
    if (paused === undefined) return false
    this.#preempt(paused)
    return true
  }

  /** Takes a running sequence's pages; it will recompute its tokens, with the same result. Its slot stays open. */
  #preempt(sequence: Sequence): void {
    this.counters.preemptions++
    this.#kv.release(sequence)
    removeFrom(this.#running, sequence)
    sequence.state = 'waiting'
    sequence.planned = 0
    insertInOrder(this.#waiting, sequence)
  }

  /**
   * Starts the followers of a sequence whose prompt this step completes: full pages are shared, the last one copied after
   * the step. Those there is no room for queue up and find the prompt in the prefix cache.
   */
  #fork(leader: Sequence, stepId: number, copies: StepPlan['copies']): Sequence[] {
    const forked: Sequence[] = []
    for (const follower of leader.followers) {
      if (follower.state !== 'forking') continue
      if (
        this.#running.length >= this.#options.maxSequences ||
        this.#numOpenSlots >= this.#options.maxSlots ||
        !this.#kv.fork(leader, follower, copies)
      ) {
        this.#enqueueFollower(follower)
        continue
      }
      this.#forking.delete(follower)
      follower.lastStep = stepId
      this.#start(follower, leader.startedMs)
      forked.push(follower)
    }
    leader.followers = []
    return forked
  }

  #enqueueFollower(follower: Sequence): void {
    this.#forking.delete(follower)
    follower.state = 'waiting'
    insertInOrder(this.#waiting, follower)
  }

  #addScoreRows(
    sequence: Sequence,
    from: number,
    end: number,
    firstRow: number,
    score: StepPlan['score'],
  ): void {
    if (sequence.options.promptLogprobs === undefined) return
    // Position 0 has no logits before it; row p scores the token at p + 1.
    for (let p = Math.max(from, sequence.scored); p < end && p + 1 < sequence.promptLength; p++) {
      const row = this.#builder.addLogitRow(firstRow + p - from)
      score.push({ sequence, row, position: p + 1 })
      sequence.scored = p + 1
    }
  }
}

function isFinished(sequence: Sequence): boolean {
  return sequence.state === 'finished'
}

function insertInOrder(list: Sequence[], sequence: Sequence): void {
  let at = list.length
  for (let other = list[at - 1]; other !== undefined; other = list[at - 1]) {
    if (compareOrder(other, sequence) <= 0) break
    at--
  }
  list.splice(at, 0, sequence)
}

function removeFrom(list: Sequence[], sequence: Sequence): void {
  const at = list.indexOf(sequence)
  if (at < 0) throw new Error('the sequence is not in its list')
  list.splice(at, 1)
}
