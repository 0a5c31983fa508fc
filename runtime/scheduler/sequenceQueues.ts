import type { SlotOptions } from '../native.ts'
import { FairQueue, insertInOrder, removeFrom } from './fairQueue.ts'
import type { KvCache } from './kvCache.ts'
import type { KvGroup } from './pages.ts'
import { Sequence, type SequenceOptions } from './sequence.ts'
import type { StepPlan } from './stepPlan.ts'

/** The calls a plan makes at once; they take effect after everything queued before. */
export interface SlotAllocator {
  openSlot(options: SlotOptions): number
  closeSlot(slot: number): void
}

export interface SequenceQueueOptions {
  groups: readonly KvGroup[]
  /** Sequences that run at once. */
  maxSequences: number
  /** Slots open at once: running and preempted sequences hold one each. */
  maxSlots: number
  /** Sequences that may wait before `isFull`. */
  maxWaiting: number
}

/** The sequences by state, and how they come to their pages and slots and lose them: admission, preemption, forks. */
export class SequenceQueues {
  readonly counters = {
    preemptions: 0,
    promptTokens: 0,
    cachedTokens: 0,
    prefixLookups: 0,
    prefixHits: 0,
  }
  readonly #options: SequenceQueueOptions
  readonly #slots: SlotAllocator
  readonly #kv: KvCache
  readonly #running: Sequence[] = []
  readonly #waiting = new FairQueue()
  #nextArrival = 0
  #numOpenSlots = 0

  constructor(options: SequenceQueueOptions, kv: KvCache, slots: SlotAllocator) {
    this.#options = options
    this.#kv = kv
    this.#slots = slots
  }

  /** In order: who comes first keeps its pages longest. */
  get running(): readonly Sequence[] {
    return this.#running
  }

  get numWaiting(): number {
    return this.#waiting.size
  }

  numWaitingOf(owner: string | undefined): number {
    return this.#waiting.numWaitingOf(owner)
  }

  /** Owners whose sequences wait, and `owner`. */
  numContending(owner: string | undefined): number {
    return this.#waiting.numContending(owner)
  }

  /**
   * True when no more of this owner may wait; those that will start at once do not count. An owner may have all places, but
   * one that comes later still gets its share: the queue then holds more than `maxWaiting`, at most 1 + ln(owners) times as many.
   */
  isFull(owner: string | undefined): boolean {
    const { maxSequences, maxWaiting } = this.#options
    const places = Math.max(0, maxSequences - this.#running.length)
    const share = Math.ceil(maxWaiting / this.numContending(owner))
    return this.numWaiting - places >= maxWaiting && this.numWaitingOf(owner) >= share
  }

  /** Queues the choices of one prompt; the first prefills it for all. Prompts are at least one token and fit the pool. */
  add(choices: SequenceOptions[], priority: number, nowMs: number): Sequence[] {
    const sequences = choices.map(
      (options, i) =>
        new Sequence(
          options,
          { priority, arrival: this.#nextArrival++, arrivedMs: nowMs },
          this.#options.groups,
          i === 0 ? 'waiting' : 'forking',
        ),
    )
    const [leader, ...followers] = sequences
    if (leader === undefined) return []
    leader.followers = followers
    for (const follower of followers) this.#waiting.addForking(follower)
    this.#waiting.insert(leader)
    return sequences
  }

  /** Ends a sequence, in whatever state; its pages are free after the last step that uses them. */
  finish(sequence: Sequence): void {
    if (sequence.state === 'finished') return
    if (sequence.state === 'running') {
      this.#kv.release(sequence)
      removeFrom(this.#running, sequence)
      this.#waiting.stopped(sequence)
    } else if (sequence.state === 'waiting') this.#waiting.remove(sequence)
    else this.#waiting.removeForking(sequence)
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

  /** Sequences that will start before this one; 0 for one that runs. */
  queuePosition(sequence: Sequence): number {
    if (sequence.state === 'running' || sequence.state === 'finished') return 0
    return this.#waiting.position(sequence)
  }

  /** Starts waiting sequences in turn while there is room; none overtakes one that could run but for room. */
  admit(nowMs: number): void {
    for (;;) {
      const sequence = this.#waiting.next()
      if (sequence === undefined || sequence.pending > 0) return
      if (sequence.slot < 0 && this.#numOpenSlots >= this.#options.maxSlots) return
      const hasPlace = this.#running.length < this.#options.maxSequences
      if (hasPlace && this.#takePrefix(sequence)) {
        this.#waiting.remove(sequence)
        this.#start(sequence, nowMs)
      } else if (!this.#preemptPaused()) return
    }
  }

  /** Gives a waiting sequence its prefix hit when what it needs beyond it is available. */
  #takePrefix(sequence: Sequence): boolean {
    const hit = this.#kv.findPrefix(sequence)
    if (this.#running.length > 0 || this.#kv.numReturning > 0) {
      let cost = this.#kv.costOfStart(sequence, hit)
      for (const other of this.#running) cost += this.#kv.costToContinue(other)
      if (cost > this.#kv.pool.numAvailable) return false
    }
    this.#kv.start(sequence, hit)
    if (sequence.startedMs < 0) {
      sequence.cachedTokens = hit.tokens
      this.counters.prefixLookups++
      if (hit.tokens > 0) this.counters.prefixHits++
      this.counters.cachedTokens += hit.tokens
      this.counters.promptTokens += sequence.promptLength
    }
    return true
  }

  #start(sequence: Sequence, nowMs: number): void {
    sequence.state = 'running'
    insertInOrder(this.#running, sequence)
    this.#waiting.started(sequence, sequence.startedMs < 0)
    if (sequence.startedMs < 0) sequence.startedMs = nowMs
    // Last, since it may throw: the engine then fails, and ends a sequence that is where its state says.
    if (sequence.slot < 0) {
      sequence.slot = this.#slots.openSlot(sequence.options.slot)
      this.#numOpenSlots++
    }
  }

  /**
   * Takes the pages for the next `chunk` tokens, from later sequences if need be.
   * @returns tokens there is room for; 0 when the sequence must sit this step out
   */
  reserve(sequence: Sequence, chunk: number, planned: ReadonlySet<Sequence>): number {
    this.#kv.releaseBehindWindow(sequence)
    for (;;) {
      const needed = this.#kv.pagesFor(sequence, chunk)
      if (needed <= this.#kv.pool.numAvailable) break
      // Enough comes back with steps under way: nobody else has to go.
      if (needed <= this.#kv.pool.numAvailable + this.#kv.numReturning) return 0
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
    this.#waiting.stopped(sequence)
    sequence.state = 'waiting'
    sequence.planned = 0
    this.#waiting.insert(sequence)
  }

  /**
   * Starts the followers of a sequence whose prompt this step completes: full pages are shared, the last one copied after
   * the step. Those there is no room for, or whose turn it is not, queue up and find the prompt in the prefix cache.
   */
  fork(leader: Sequence, stepId: number, copies: StepPlan['copies']): Sequence[] {
    const forked: Sequence[] = []
    for (const follower of leader.followers) {
      if (follower.state !== 'forking') continue
      if (
        this.#running.length >= this.#options.maxSequences ||
        this.#numOpenSlots >= this.#options.maxSlots ||
        this.#waiting.isBehindOthers(follower) ||
        !this.#kv.fork(leader, follower, copies)
      ) {
        this.#enqueueFollower(follower)
        continue
      }
      this.#waiting.removeForking(follower)
      follower.lastStep = stepId
      this.#start(follower, leader.startedMs)
      forked.push(follower)
    }
    leader.followers = []
    return forked
  }

  #enqueueFollower(follower: Sequence): void {
    this.#waiting.removeForking(follower)
    follower.state = 'waiting'
    this.#waiting.insert(follower)
  }

  /** @throws when tables, slots and states disagree */
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
  }
}
