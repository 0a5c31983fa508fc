import { expect } from 'vitest'
import { greedySlot } from '../../runtime/engine/slotOptions.ts'
import type { TokenConstraint } from '../../runtime/grammar/tokenConstraint.ts'
import type { KvGroup } from '../../runtime/scheduler/pages.ts'
import { Scheduler, type SchedulerOptions } from '../../runtime/scheduler/scheduler.ts'
import type { Sequence, SequenceOptions } from '../../runtime/scheduler/sequence.ts'
import type { StepPlan } from '../../runtime/scheduler/stepPlan.ts'
import { FakeModel, fakeVocabSize, generateAlone } from './fakeModel.ts'

export const full = (pageTokens: number): KvGroup => ({ pageTokens, window: null })
export const sliding = (pageTokens: number, window: number): KvGroup => ({ pageTokens, window })

export const slotOptions = (seed: number, choice: number) => ({
  ...greedySlot,
  temperature: 1,
  seed,
  choice,
})

/** Mulberry32: a small seeded generator, so that a failing mix can be run again. */
export function seeded(seed: number): (below: number) => number {
  let a = seed
  return below => {
    a = (a + 0x6d2b79f5) | 0
    let t = Math.imul(a ^ (a >>> 15), 1 | a)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

export interface Tracked {
  sequence: Sequence
  expected: number[]
  drawn: number[]
  aborted: boolean
  /** Stands for a stop string: the reader ends the sequence at this token. */
  stopAt: number
}

/** Allows tokens by what came before, and fails for a token that it did not allow or a mask made out of turn. */
export class FakeConstraint implements TokenConstraint {
  readonly #seed: number
  #state: number
  #allowed: Set<number> | undefined
  #forced: number[] = []

  constructor(seed: number) {
    this.#seed = seed
    this.#state = seed
  }

  async prepareForced(): Promise<void> {}

  async prepareFill(): Promise<void> {}

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

  accept(token: number): boolean {
    const forced = this.#forced.shift()
    if (forced !== undefined && forced !== token) throw new Error(`${token} was not ${forced}`)
    if (forced === undefined && this.#allowed?.has(token) === false)
      throw new Error(`token ${token} was not allowed`)
    this.#allowed = new Set()
    this.#state = this.#state * 31 + token + this.#seed
    return true
  }
}

export class Harness {
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

export function raise(message: string): never {
  throw new Error(message)
}
