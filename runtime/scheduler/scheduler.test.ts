import { describe, expect, it } from 'vitest'
import { FakeModel, fakeVocabSize, generateAlone } from '../../test/support/fakeModel.ts'
import { greedySlot } from '../engine/slotOptions.ts'
import type { TokenConstraint } from '../grammar/tokenConstraint.ts'
import { type KvGroup, longestSequence } from './pages.ts'
import { Scheduler, type SchedulerOptions } from './scheduler.ts'
import type { Sequence, SequenceOptions } from './sequence.ts'
import type { StepPlan } from './stepPlan.ts'

const full = (pageTokens: number): KvGroup => ({ pageTokens, window: null })
const sliding = (pageTokens: number, window: number): KvGroup => ({ pageTokens, window })

const layouts: KvGroup[][] = [
  [full(4)],
  [full(16)],
  [sliding(4, 9)],
  [full(4), sliding(4, 7)],
  [sliding(2, 5), full(8)],
  [full(4), sliding(8, 16), sliding(2, 3)],
]

const slotOptions = (seed: number, choice: number) => ({
  ...greedySlot,
  temperature: 1,
  seed,
  choice,
})

/** Mulberry32: a small seeded generator, so that a failing mix can be run again. */
function seeded(seed: number): (below: number) => number {
  let a = seed
  return below => {
    a = (a + 0x6d2b79f5) | 0
    let t = Math.imul(a ^ (a >>> 15), 1 | a)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

interface Tracked {
  sequence: Sequence
  expected: number[]
  drawn: number[]
  aborted: boolean
  /** Stands for a stop string: the reader ends the sequence at this token. */
  stopAt: number
}

/** Allows tokens by what came before, and fails for a token that it did not allow or a mask made out of turn. */
class FakeConstraint implements TokenConstraint {
  readonly #seed: number
  #state: number
  #allowed: Set<number> | undefined
  #forced: number[] = []

  constructor(seed: number) {
    this.#seed = seed
    this.#state = seed
  }

  async prepare(): Promise<void> {}

  forced(remaining: number): readonly number[] {
    const random = seeded(this.#state ^ 0x5bd1e995)
    const length = random(4) === 0 ? Math.min(2 + random(12), remaining - 1) : 0
    this.#forced = length < 2 ? [] : Array.from({ length }, () => 1 + random(fakeVocabSize - 1))
    return [...this.#forced]
  }

  fill(words: Uint32Array): boolean {
    const random = seeded(this.#state)
    if (random(4) === 0) {
      this.#allowed = undefined
      return false
    }
    this.#allowed = new Set(Array.from({ length: 1 + random(5) }, () => random(fakeVocabSize)))
    for (const id of this.#allowed) words[id >> 5] = (words[id >> 5] ?? 0) | (1 << (id & 31))
    return true
  }

  accept(token: number): void {
    const forced = this.#forced.shift()
    if (forced !== undefined && forced !== token) throw new Error(`${token} was not ${forced}`)
    if (forced === undefined && this.#allowed?.has(token) === false)
      throw new Error(`token ${token} was not allowed`)
    this.#allowed = new Set()
    this.#state = this.#state * 31 + token + this.#seed
  }
}

class Harness {
  now = 0
  readonly model: FakeModel
  readonly scheduler: Scheduler
  readonly tracked = new Map<Sequence, Tracked>()
  readonly scored = new Map<Sequence, number[]>()
  /** Tokens reported that were not drawn. */
  numForced = 0
  readonly #groups: readonly KvGroup[]
  readonly #inFlight: { plan: StepPlan; draw: () => void }[] = []
  stepMs = (plan: StepPlan) => 5 + plan.numPrefillTokens

  constructor(options: SchedulerOptions) {
    this.#groups = options.groups
    this.model = new FakeModel(options.groups, options.numPages)
    this.scheduler = new Scheduler(options, this.model)
  }

  /** @param constrain makes a constraint for each choice, the same each time */
  add(
    choices: SequenceOptions[],
    priority = 0,
    stopAt = -1,
    constrain?: () => TokenConstraint,
  ): Tracked[] {
    const constrained = (options: SequenceOptions) =>
      constrain === undefined ? options : { ...options, constraint: constrain() }
    const added = this.scheduler.add(choices.map(constrained), priority, this.now)
    return added.map((sequence, i) => {
      const choice = choices[i] ?? raise('no choice')
      const expected = generateAlone(this.#groups, constrained(choice))
      const stop = expected.indexOf(stopAt)
      const tracked = {
        sequence,
        expected: stop >= 0 ? expected.slice(0, stop + 1) : expected,
        drawn: [],
        aborted: false,
        stopAt,
      }
      this.tracked.set(sequence, tracked)
      return tracked
    })
  }

  /** Plans as far ahead as allowed, then takes one result. @returns false when nothing ran */
  turn(depth: number): boolean {
    this.#inFlight[0]?.draw()
    while (this.#inFlight.length < depth) {
      const plan = this.scheduler.plan(this.now)
      if (plan === null) break
      const draw = this.model.launch(plan)
      this.#inFlight.push({ plan: structuredCloneArrays(plan), draw })
      if (this.#inFlight.length === 1) draw()
      for (const { sequence, position } of plan.score) {
        const positions = this.scored.get(sequence) ?? []
        this.scored.set(sequence, [...positions, position])
      }
      this.#check()
    }
    const { plan } = this.#inFlight.shift() ?? {}
    if (plan === undefined) return false
    const tokens = this.model.complete()
    const ms = this.stepMs(plan)
    this.now += ms
    this.scheduler.apply(plan.id, tokens, ms, this.now, (sequence, token, row) => {
      const tracked = this.tracked.get(sequence)
      if (token >= 0) tracked?.drawn.push(token)
      else expect(sequence.options.maxLength).toBe(sequence.promptLength)
      if (token >= 0 && row < 0) {
        this.numForced++
        const position = sequence.delivered - 1
        const isScored = plan.score.some(s => s.sequence === sequence && s.position === position)
        expect(isScored).toBe(sequence.options.logprobs !== undefined)
      }
      if (token === tracked?.stopAt) this.scheduler.finish(sequence)
    })
    this.#check()
    return true
  }

  #check(): void {
    this.scheduler.checkInvariants()
    for (const { plan } of this.#inFlight) {
      for (const table of plan.batch.pageTables) {
        for (const page of table.pages) {
          if (page >= 0 && this.scheduler.pool.refCount(page) === 0) {
            throw new Error(`page ${page} of a step under way was given back`)
          }
        }
      }
    }
  }

  expectDone(): void {
    this.model.drain()
    expect(this.scheduler.isIdle).toBe(true)
    this.scheduler.checkInvariants()
    expect(this.scheduler.pool.numAvailable).toBe(this.scheduler.pool.numPages)
    expect(this.model.numOpen()).toBe(0)
    for (const { aborted, drawn, expected } of this.tracked.values()) {
      expect(drawn).toEqual(aborted ? expected.slice(0, drawn.length) : expected)
    }
  }
}

function structuredCloneArrays(plan: StepPlan): StepPlan {
  return { ...plan, batch: structuredClone(plan.batch) }
}

function raise(message: string): never {
  throw new Error(message)
}

function runMix(seed: number): Scheduler['counters'] & { forced: number } {
  const random = seeded(seed)
  const groups = layouts[random(layouts.length)] ?? raise('no layout')
  const depth = 1 + random(2)
  const maxSequences = 1 + random(6)
  const maxLength = 20 + random(100)
  const minPages = [1, 2, 4, 8, 16, 32, 64].find(
    n => longestSequence(groups, n, maxLength) === maxLength,
  )
  const h = new Harness({
    groups,
    numPages: (minPages ?? 64) + random(random(2) === 0 ? 4 : 60),
    maxSequences,
    maxBatchedTokens: maxSequences + 16 + random(40),
    maxLogitRows: maxSequences + random(8),
    maxSlots: maxSequences + 1 + random(6),
    maxWaiting: 100,
    prefixCache: random(4) > 0,
    ...(random(2) === 0 && { prefillStepMs: 40, decodeStepMs: 20 }),
  })
  const bases = Array.from({ length: 3 }, () =>
    Int32Array.from({ length: maxLength }, () => random(fakeVocabSize)),
  )
  const newJob = () => {
    const length = 1 + random(maxLength - 4)
    const shared = random(2) === 0 ? length : random(length)
    const base = bases[random(3)] ?? raise('no base')
    const prompt = Int32Array.from({ length }, (_, i) =>
      i < shared ? (base[i] ?? 0) : random(fakeVocabSize),
    )
    const n = random(3) === 0 ? 1 + random(4) : 1
    const jobSeed = random(1000)
    const owner = random(4)
    const limit = Math.min(maxLength, length + random(30))
    h.add(
      Array.from({ length: n }, (_, choice) => ({
        prompt,
        maxLength: limit,
        stopIds: new Set(random(3) === 0 ? [] : [0]),
        slot: slotOptions(jobSeed, choice),
        cacheSalt: random(4) === 0 ? 'b' : 'a',
        ...(owner > 0 && { owner: `owner ${owner}` }),
        ...(random(6) === 0 && { promptLogprobs: 0 }),
        ...(random(4) === 0 && { logprobs: 0 }),
      })),
      random(5) === 0 ? random(3) - 1 : 0,
      random(3) === 0 ? 1 + random(fakeVocabSize - 1) : -1,
      random(3) === 0 ? () => new FakeConstraint(jobSeed) : undefined,
    )
  }
  let left = 3 + random(12)
  let idleTurns = 0
  for (let turn = 0; left > 0 || !h.scheduler.isIdle; turn++) {
    if (turn > 5000) raise('starved')
    while (left > 0 && (random(3) === 0 || h.scheduler.isIdle)) {
      newJob()
      left--
    }
    const live = [...h.tracked.values()].filter(t => t.sequence.state !== 'finished')
    const some = live[random(Math.max(1, live.length))]
    const dice = random(24)
    if (some !== undefined && dice === 0) {
      some.aborted = true
      h.scheduler.finish(some.sequence)
      h.scheduler.checkInvariants()
    } else if (some !== undefined && dice < 3) h.scheduler.setPaused(some.sequence, true)
    else if (dice < 10) for (const t of live) h.scheduler.setPaused(t.sequence, false)
    if (!h.turn(depth)) {
      idleTurns++
      const runnable = live.filter(t => !t.sequence.paused && t.sequence.state !== 'finished')
      if (runnable.length > 0 && idleTurns > 50) raise('stuck with runnable sequences')
    } else idleTurns = 0
  }
  h.expectDone()
  for (const [sequence, positions] of h.scored) {
    const ofPrompt = positions.filter(position => position < sequence.promptLength)
    const expected = Array.from({ length: sequence.promptLength - 1 }, (_, i) => i + 1)
    // The first choice of a prompt scores it for all.
    const isScored = sequence.options.promptLogprobs !== undefined && ofPrompt.length > 0
    if (!h.tracked.get(sequence)?.aborted) expect(ofPrompt).toEqual(isScored ? expected : [])
    expect(new Set(positions).size).toBe(positions.length)
  }
  return { ...h.scheduler.counters, forced: h.numForced }
}

/** 10 s a 3000. */
const numMixes = process.env.MISTRALRS_TEST_FULL === '1' ? 20_000 : 1000

describe('scheduler', () => {
  it('serves random mixes as if each request were alone', () => {
    const sums = { steps: 0, preemptions: 0, cachedTokens: 0, forced: 0 }
    for (let seed = 0; seed < numMixes; seed++) {
      try {
        const counters = runMix(seed)
        sums.steps += counters.steps
        sums.preemptions += counters.preemptions
        sums.cachedTokens += counters.cachedTokens
        sums.forced += counters.forced
      } catch (cause) {
        throw new Error(`mix ${seed}`, { cause })
      }
    }
    // The mixes must reach what they are there for.
    expect(sums.steps).toBeGreaterThan(20 * numMixes)
    expect(sums.preemptions).toBeGreaterThan(numMixes / 3)
    expect(sums.cachedTokens).toBeGreaterThan(4 * numMixes)
    expect(sums.forced).toBeGreaterThan(4 * numMixes)
  }, 300_000)
})

const plain: SchedulerOptions = {
  groups: [full(4)],
  numPages: 200,
  maxSequences: 4,
  maxBatchedTokens: 512,
  maxLogitRows: 8,
  maxSlots: 16,
  maxWaiting: 10,
  prefixCache: true,
}

const request = (length: number, generate: number, seed = 1): SequenceOptions => ({
  prompt: Int32Array.from({ length }, (_, i) => (i * 7 + seed) % fakeVocabSize),
  maxLength: length + generate,
  stopIds: new Set(),
  slot: slotOptions(seed, 0),
  cacheSalt: '',
})

const one = (tracked: Tracked[]): Tracked => tracked[0] ?? raise('nothing was added')

describe('scheduler, one matter at a time', () => {
  it('keeps steps within their time while anything decodes, and bounded otherwise', () => {
    const h = new Harness({ ...plain, numPages: 2000, maxBatchedTokens: 4096 })
    const lengths: { decodes: boolean; ms: number }[] = []
    h.stepMs = plan => {
      const ms = plan.numPrefillTokens * 0.5 + (plan.numDecodeRows > 0 ? 10 : 0)
      lengths.push({ decodes: plan.numDecodeRows > 0, ms })
      return ms
    }
    h.add([request(2000, 1)])
    while (h.turn(1)) {}
    h.add([request(8, 100, 2)])
    for (let i = 0; i < 3; i++) h.turn(1)
    h.add([request(2000, 1, 3)])
    while (h.turn(1)) {}
    // The first guesses apart.
    const settled = lengths.slice(4)
    expect(Math.max(...settled.filter(s => s.decodes).map(s => s.ms))).toBeLessThanOrEqual(62)
    expect(Math.max(...settled.filter(s => !s.decodes).map(s => s.ms))).toBeLessThanOrEqual(260)
    expect(Math.max(...settled.map(s => s.ms))).toBeGreaterThan(150)
    h.expectDone()
  })

  it('gets a short prompt through beside a long one, which still advances', () => {
    const h = new Harness({ ...plain, numPages: 2000, maxBatchedTokens: 64 })
    const long = one(h.add([request(3000, 1)]))
    h.turn(1)
    const short = one(h.add([request(20, 1, 2)]))
    const before = long.sequence.planned
    h.turn(1)
    expect(short.sequence.state).toBe('finished')
    expect(long.sequence.planned - before).toBeGreaterThanOrEqual(32)
    while (h.turn(1)) {}
    h.expectDone()
  })

  it('starts sequences in order of priority, then arrival', () => {
    const h = new Harness({ ...plain, maxSequences: 1 })
    const started: number[] = []
    const waiting = [
      ...h.add([request(8, 2, 1)], 0),
      ...h.add([request(8, 2, 2)], 5),
      ...h.add([request(8, 2, 3)], -1),
      ...h.add([request(8, 2, 4)], 0),
    ]
    do {
      const running = waiting.findIndex(t => t.sequence.state === 'running')
      if (running >= 0 && started.at(-1) !== running) started.push(running)
    } while (h.turn(1))
    expect(started).toEqual([2, 0, 3, 1])
    h.expectDone()
  })

  it('preempts the latest arrival, which goes on where it was', () => {
    const h = new Harness({ ...plain, numPages: 14, prefixCache: false })
    const first = one(h.add([request(8, 24, 1)]))
    const second = one(h.add([request(8, 24, 2)]))
    while (second.sequence.state !== 'running') h.turn(2)
    while (second.sequence.state === 'running') h.turn(2)
    expect(first.sequence.state).toBe('running')
    expect(second.sequence.state).toBe('waiting')
    expect(second.sequence.slot).toBeGreaterThanOrEqual(0)
    while (h.turn(2)) {}
    expect(h.scheduler.counters.preemptions).toBeGreaterThan(0)
    h.expectDone()
  })

  it.each([1, 2])('frees the pages of an aborted sequence within a step, depth %i', depth => {
    const h = new Harness(plain)
    const { sequence } = one(h.add([request(40, 50)]))
    for (let i = 0; i < 5; i++) h.turn(depth)
    h.scheduler.finish(sequence)
    expect(h.scheduler.numInFlight).toBe(depth - 1)
    expect(h.scheduler.pool.numUsed).toBe(depth === 1 ? 0 : 12)
    h.turn(depth)
    expect(h.scheduler.pool.numUsed).toBe(0)
  })

  it('prefills a prompt once for all its choices', () => {
    const h = new Harness({ ...plain, maxSequences: 4 })
    let prefilled = 0
    h.stepMs = plan => {
      prefilled += plan.numPrefillTokens
      return 1
    }
    const choices = [0, 1, 2, 3].map(choice => ({
      ...request(30, 5),
      slot: slotOptions(1, choice),
    }))
    h.add(choices)
    h.turn(1)
    // 7 full pages are shared; each choice has its own copy of the page begun.
    expect(h.scheduler.pool.numUsed).toBe(7 + 4)
    while (h.turn(1)) {}
    expect(prefilled).toBe(30)
    h.expectDone()
  })

  it('reuses the pages of an earlier prompt, but always computes a token', () => {
    const h = new Harness(plain)
    h.add([request(32, 1)])
    while (h.turn(1)) {}
    const again = one(h.add([request(32, 1)]))
    const longer = one(h.add([{ ...request(32, 1), prompt: request(40, 1).prompt, maxLength: 41 }]))
    const salted = one(h.add([{ ...request(32, 1), cacheSalt: 'mine' }]))
    while (h.turn(1)) {}
    expect(again.sequence.cachedTokens).toBe(28)
    expect(longer.sequence.cachedTokens).toBe(32)
    expect(salted.sequence.cachedTokens).toBe(0)
    h.expectDone()
  })

  it('needs only the last window of a sliding group for a hit', () => {
    // Pool of 24: the sliding group's early pages were freed on the way and may have been reused; the hit stands.
    const groups = [full(4), sliding(4, 8)]
    const h = new Harness({ ...plain, groups, numPages: 24, maxBatchedTokens: 20 })
    h.add([request(40, 1)])
    while (h.turn(1)) {}
    const again = one(h.add([request(40, 1)]))
    while (h.turn(1)) {}
    expect(again.sequence.cachedTokens).toBe(36)
    h.expectDone()
  })

  it('says when to come back once the queue is full', () => {
    const h = new Harness({ ...plain, maxSequences: 1, maxWaiting: 1 })
    h.add([request(8, 20)])
    h.turn(1)
    expect(h.scheduler.isFull(undefined)).toBe(false)
    h.add([request(8, 20, 2)])
    expect(h.scheduler.isFull(undefined)).toBe(true)
    h.stepMs = () => 100
    while (h.turn(1)) {}
    // 20 steps of 100 ms a sequence, one at a time.
    expect(h.scheduler.retryAfterMs(undefined)).toBeGreaterThan(1000)
    expect(h.scheduler.retryAfterMs(undefined)).toBeLessThan(3000)
  })
})
