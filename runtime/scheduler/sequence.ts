import type { TokenConstraint } from '../grammar/tokenConstraint.ts'
import type { SlotOptions } from '../native.ts'
import type { KvGroup } from './pages.ts'
import { type PageKeys, pageKeysFor } from './prefixCache.ts'

export interface SequenceOptions {
  prompt: Int32Array
  /** Length, prompt included, at which generation ends with `length`. */
  maxLength: number
  /** Tokens that end generation with `stop`; empty to ignore them. */
  stopIds: ReadonlySet<number>
  slot: SlotOptions
  /** Report log-probabilities of the prompt's own tokens with this many alternatives. */
  promptLogprobs?: number
  /** Report log-probabilities of generated tokens with this many alternatives. */
  logprobs?: number
  /** Follows this sequence alone. */
  constraint?: TokenConstraint
  /** The result at the last prompt token is wanted, and nothing is drawn (embeddings). */
  pooled?: boolean
  cacheSalt: string
  /** Sequences of different owners take turns; absent: all the nameless are one. */
  owner?: string
}

/**
 * `forking`: waits for its leader, another choice of the same prompt, to finish the prefill they share.
 * `waiting`: holds no pages (new, or preempted). `running`: holds pages.
 */
export type SequenceState = 'forking' | 'waiting' | 'running' | 'finished'

/** One choice of one prompt: its tokens, how far they are computed, and the pages that hold them. */
export class Sequence {
  readonly options: SequenceOptions
  readonly priority: number
  /** Total order of arrival; the choices of a prompt follow their leader. */
  readonly arrival: number
  readonly arrivedMs: number
  readonly keys: Map<number, PageKeys>
  readonly promptLength: number
  state: SequenceState
  finishReason: 'stop' | 'length' | null = null
  /** Choices that fork from this one at the end of its prefill. */
  followers: Sequence[] = []
  paused = false
  slot = -1
  /** Tokens known so far; see `length`. */
  tokens: Int32Array
  length: number
  /** Samples planned whose tokens are not known yet. */
  pending = 0
  /** Tokens whose computation is planned: the next step starts at this position. */
  planned = 0
  /** Most tokens ever computed by steps that have run (progress), and those the prefix cache gave at the first start. */
  computed = 0
  cachedTokens = 0
  /** From this position on, rows whose next token is known are still to be scored. */
  scored: number
  /** Tokens that count: the prompt, and what was generated and reported. */
  delivered: number
  /** Last step that uses its pages, -1 for none. */
  lastStep = -1
  startedMs = -1
  /** Per group: page of each run of `pageTokens` tokens, -1 once it lies behind the window. */
  tables: number[][]

  constructor(
    options: SequenceOptions,
    order: { priority: number; arrival: number; arrivedMs: number },
    groups: readonly KvGroup[],
    state: 'forking' | 'waiting',
  ) {
    this.options = options
    this.priority = order.priority
    this.arrival = order.arrival
    this.arrivedMs = order.arrivedMs
    this.state = state
    this.promptLength = options.prompt.length
    this.tokens = new Int32Array(options.prompt.length + 64)
    this.tokens.set(options.prompt)
    this.length = options.prompt.length
    this.delivered = options.prompt.length
    this.scored = options.promptLogprobs === undefined ? options.prompt.length - 1 : 0
    this.keys = pageKeysFor(groups, options.cacheSalt)
    this.tables = groups.map(() => [])
  }

  /** Length with the samples still under way. */
  get totalLength(): number {
    return this.length + this.pending
  }

  get numGenerated(): number {
    return this.delivered - this.promptLength
  }

  /**
   * Tokens to compute before the next sample; 0 when the last possible token is already under way. A prompt that leaves
   * room for none is computed to its end.
   */
  get remaining(): number {
    const isDrawn = this.totalLength > this.promptLength
    return isDrawn && this.totalLength >= this.options.maxLength
      ? 0
      : this.totalLength - this.planned
  }

  /** Takes the token that was drawn. @returns false, and does nothing, when its constraint does not allow it */
  append(token: number): boolean {
    if (this.options.constraint?.accept(token) === false) return false
    this.#push(token)
    this.scored = this.length - 1
    this.delivered = this.length
    return true
  }

  /**
   * Tokens that the next sample and those after it must be; none where the model has a choice, or where the request has its own
   * say in one of them. To be asked when one sample is pending and no step is planned beyond it.
   */
  forcedTokens(): readonly number[] {
    const { constraint, maxLength, stopIds, slot } = this.options
    const forced = constraint?.forced(maxLength - this.length) ?? []
    const isFree = forced.some(id => stopIds.has(id) || slot.biasIds?.includes(id))
    return isFree ? [] : forced
  }

  /** Takes the tokens that the pending sample and those after it will be. The first is reported as drawn, in its step. */
  force(tokens: readonly number[]): void {
    if (this.pending !== 1 || this.planned > this.length) {
      throw new Error(`${this.pending} samples are pending, and tokens to ${this.planned} planned`)
    }
    const drawn = this.length
    this.pending--
    for (const token of tokens) {
      if (this.options.constraint?.accept(token) === false) {
        throw new Error(`token ${token} is forced, and not allowed`)
      }
      this.#push(token)
    }
    this.scored = this.options.logprobs === undefined ? this.length - 1 : drawn
  }

  #push(token: number): void {
    if (this.length === this.tokens.length) {
      const grown = new Int32Array(this.tokens.length * 2)
      grown.set(this.tokens)
      this.tokens = grown
    }
    this.tokens[this.length++] = token
  }
}

/** Negative when `a` runs before `b`. */
export function compareOrder(a: Sequence, b: Sequence): number {
  return a.priority - b.priority || a.arrival - b.arrival
}
