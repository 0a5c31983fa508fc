import { type DrawBatch, drawBatch, isConstrained } from '../../runtime/engine/drawBatch.ts'
import type { TokenConstraint } from '../../runtime/grammar/tokenConstraint.ts'
import type { SampleBatch, SlotOptions, StepBatch } from '../../runtime/native.ts'
import type { KvGroup } from '../../runtime/scheduler/pages.ts'
import type { StepPlan } from '../../runtime/scheduler/stepPlan.ts'

/**
 * A model for tests that shows every mistake in page tables: it keeps real page memory, the state written for a token
 * depends on everything the token sees through the tables, and so does the token drawn. Work is queued and executed in
 * order, like native code does.
 */
export class FakeModel {
  readonly numOpen = () => this.#open.size
  readonly #groups: readonly KvGroup[]
  readonly #maxPageTokens: number
  readonly #position: Int32Array
  readonly #group: Int32Array
  readonly #state: Int32Array
  readonly #open = new Map<number, { options: SlotOptions; last: number }>()
  readonly #queue: (() => Int32Array | undefined)[] = []
  #nextSlot = 0
  #logits: number[] = []

  constructor(groups: readonly KvGroup[], numPages: number) {
    this.#groups = groups
    this.#maxPageTokens = Math.max(...groups.map(g => g.pageTokens))
    this.#position = new Int32Array(numPages * this.#maxPageTokens).fill(-1)
    this.#group = new Int32Array(numPages * this.#maxPageTokens).fill(-1)
    this.#state = new Int32Array(numPages * this.#maxPageTokens)
  }

  openSlot(options: SlotOptions): number {
    const slot = this.#nextSlot++
    this.#open.set(slot, { options, last: -1 })
    return slot
  }

  closeSlot(slot: number): void {
    this.#queue.push(() => {
      if (!this.#open.delete(slot)) throw new Error(`slot ${slot} is not open`)
      return undefined
    })
  }

  /**
   * Queues a step; typed arrays are copied.
   * @returns what says how constrained tokens are drawn, to be called when the results before are known
   */
  launch(plan: StepPlan): () => void {
    const batch = structuredClone(plan.batch)
    const { from, to } = structuredClone(plan.copies)
    const all = plan.sampled.map((_, row) => row)
    let draw: DrawBatch | undefined = isConstrained(plan)
      ? undefined
      : { sample: structuredClone(plan.sample), planRows: all }
    this.#queue.push(() => {
      this.forward(batch)
      if (draw === undefined) throw new Error('nobody said how the step draws')
      const drawn = this.sample(draw.sample)
      const tokens = new Int32Array(plan.sampled.length).fill(-1)
      for (const [i, row] of draw.planRows.entries()) tokens[row] = drawn[i] ?? -1
      this.copyPages(from, to)
      return tokens
    })
    return () => {
      draw ??= drawBatch(plan, fakeVocabSize)
    }
  }

  /** Executes up to and including the oldest step. @returns the tokens it drew */
  complete(): Int32Array {
    for (;;) {
      const work = this.#queue.shift()
      if (work === undefined) throw new Error('nothing is queued')
      const tokens = work()
      if (tokens !== undefined) return tokens
    }
  }

  /** Executes what follows the last step. */
  drain(): void {
    for (let work = this.#queue.shift(); work !== undefined; work = this.#queue.shift()) work()
  }

  /** Executes a batch now. */
  forward(batch: StepBatch): void {
    this.#logits = this.#forward(batch)
  }

  /** Draws now. */
  sample(sample: SampleBatch): Int32Array {
    return sample.slots.map((slot, i) => {
      const state = this.#open.get(slot)
      if (state === undefined) throw new Error(`slot ${slot} is not open`)
      const context = this.#logits[sample.rows[i] ?? -1]
      if (context === undefined) throw new Error('a sample names a row without logits')
      const isMasked = sample.masks?.masked[i] === 1
      const maskWords = (sample.masks?.words.length ?? 0) / sample.slots.length
      const mask = isMasked
        ? sample.masks?.words.subarray(i * maskWords, (i + 1) * maskWords)
        : undefined
      const token = drawFake(state.options, sample.positions[i] ?? -1, context, mask)
      const { start, tokens } = sample.following ?? { start: [], tokens: [] }
      state.last = tokens.slice(start[i], start[i + 1]).at(-1) ?? token
      return token
    })
  }

  /** Copies now. */
  copyPages(from: ArrayLike<number>, to: ArrayLike<number>): void {
    for (let i = 0; i < from.length; i++) this.#copyPage(from[i] ?? -1, to[i] ?? -1)
  }

  #forward(batch: StepBatch): number[] {
    const states: number[] = []
    for (let b = 0; b + 1 < batch.queryStart.length; b++) {
      const from = batch.queryStart[b] ?? 0
      const end = batch.queryStart[b + 1] ?? 0
      for (let t = from; t < end; t++) {
        const named = batch.tokens[t] ?? 0
        const token = named >= 0 ? named : (this.#open.get(-named - 1)?.last ?? -1)
        if (token < 0) throw new Error(`row ${t} names a slot that has drawn nothing`)
        const position = batch.positions[t] ?? -1
        if (position !== (batch.kvLength[b] ?? 0) - (end - t))
          throw new Error('positions have holes')
        let state = mix(token, position)
        for (const [g, group] of this.#groups.entries()) {
          for (let p = firstVisible(group, position); p < position; p++) {
            const at = this.#address(batch, b, g, group, p)
            if (this.#position[at] !== p || this.#group[at] !== g) {
              throw new Error(`position ${position} reads ${p} of group ${g} and finds another`)
            }
            state = mix(state, this.#state[at] ?? 0)
          }
        }
        for (const [g, group] of this.#groups.entries()) {
          const at = this.#address(batch, b, g, group, position)
          this.#position[at] = position
          this.#group[at] = g
          this.#state[at] = state
        }
        states.push(state)
      }
    }
    return Array.from(batch.logitRows, row => states[row] ?? Number.NaN)
  }

  #address(batch: StepBatch, b: number, g: number, group: KvGroup, position: number) {
    const table = batch.pageTables[g]
    const index = (table?.start[b] ?? 0) + Math.floor(position / group.pageTokens)
    const page = index < (table?.start[b + 1] ?? 0) ? (table?.pages[index] ?? -1) : -1
    if (page < 0) throw new Error(`position ${position} of group ${g} has no page`)
    return page * this.#maxPageTokens + (position % group.pageTokens)
  }

  #copyPage(from: number, to: number): void {
    const n = this.#maxPageTokens
    for (const memory of [this.#position, this.#group, this.#state]) {
      memory.copyWithin(to * n, from * n, (from + 1) * n)
    }
  }
}

/** What the model generates for a prompt served alone; ends after a stop id or at `maxLength`. */
export function generateAlone(
  groups: readonly KvGroup[],
  options: {
    prompt: Int32Array
    maxLength: number
    stopIds: ReadonlySet<number>
    slot: SlotOptions
    constraint?: TokenConstraint
  },
): number[] {
  const tokens = [...options.prompt]
  const states: number[] = []
  while (tokens.length < options.maxLength) {
    for (let p = states.length; p < tokens.length; p++) {
      let state = mix(tokens[p] ?? -1, p)
      for (const group of groups) {
        for (let j = firstVisible(group, p); j < p; j++) state = mix(state, states[j] ?? 0)
      }
      states.push(state)
    }
    const forced = options.constraint?.forced(options.maxLength - tokens.length) ?? []
    if (forced.length > 0) {
      for (const token of forced) options.constraint?.accept(token)
      tokens.push(...forced)
      continue
    }
    const mask = new Uint32Array(Math.ceil(fakeVocabSize / 32))
    const isMasked = options.constraint?.fill(mask, options.maxLength - tokens.length)
    const context = states.at(-1) ?? 0
    const token = drawFake(options.slot, tokens.length, context, isMasked ? mask : undefined)
    tokens.push(token)
    options.constraint?.accept(token)
    if (options.stopIds.has(token)) break
  }
  return tokens.slice(options.prompt.length)
}

export const fakeVocabSize = 40

function drawFake(
  slot: SlotOptions,
  position: number,
  context: number,
  mask: Uint32Array | undefined,
): number {
  const random = mix(mix(mix(slot.seed, slot.choice), position), context) >>> 0
  if (mask === undefined) return random % fakeVocabSize
  const allowed: number[] = []
  for (let id = 0; id < mask.length * 32; id++) {
    if (((mask[id >> 5] ?? 0) >>> (id & 31)) & 1) allowed.push(id)
  }
  return allowed[random % allowed.length] ?? -1
}

function firstVisible(group: KvGroup, position: number): number {
  return group.window === null ? 0 : Math.max(0, position - group.window + 1)
}

/** Murmur3's finalizer over a pair. */
function mix(a: number, b: number): number {
  let h = Math.imul(a ^ Math.imul(b + 0x7f4a7c15, 0x9e3779b1), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}
