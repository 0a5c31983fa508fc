import type { Automaton } from './automaton.ts'
import { setBit } from './bits.ts'
import { forcedRun } from './forcedRun.ts'
import type { JumpAhead } from './jumpAhead.ts'
import { MatchGraph, type MatchState } from './matchState.ts'
import { TokenMasks } from './tokenMasks.ts'
import type { TokenTrie } from './tokenTrie.ts'

/** The vocabulary as matchers see it. */
export interface MatchVocabulary {
  trie: TokenTrie
  vocabSize: number
  tokenBytes(id: number): Uint8Array
  /** Absent: every token is drawn. */
  jumpAhead?: JumpAhead
}

/** A grammar ready for use with a vocabulary; its matchers share what they learn about it. */
export class CompiledGrammar {
  readonly graph: MatchGraph
  readonly masks: TokenMasks
  readonly vocabulary: MatchVocabulary

  constructor(automaton: Automaton, vocabulary: MatchVocabulary) {
    this.graph = new MatchGraph(automaton)
    this.masks = new TokenMasks(this.graph, vocabulary.trie, vocabulary.vocabSize)
    this.vocabulary = vocabulary
  }
}

/** One text on its way through a grammar. */
export class GrammarMatcher {
  readonly #grammar: CompiledGrammar
  #state: MatchState
  #forced: readonly number[] = []

  constructor(grammar: CompiledGrammar) {
    this.#grammar = grammar
    this.#state = grammar.graph.start
  }

  /** The text may end here. */
  get canEnd(): boolean {
    return this.#state.accepts
  }

  /** Fewest tokens the text still needs. */
  get distance(): number {
    return this.#state.distance
  }

  /** Tokens that must come next, when they are two or more; what the last `prepareForced` found. */
  get forced(): readonly number[] {
    return this.#forced
  }

  /** @returns false when the token is not allowed here: the state then stays as it is */
  accept(token: number): boolean {
    const { graph, vocabulary } = this.#grammar
    let state: MatchState | null = this.#state.tokens.get(token) ?? null
    if (state === null) {
      const bytes = vocabulary.tokenBytes(token)
      if (bytes.length === 0) return false
      state = this.#state
      for (const byte of bytes) {
        state = graph.step(state, byte)
        if (state === null) return false
      }
    }
    this.#state = state
    this.#forced = []
    return true
  }

  async prepareForced(remaining: number): Promise<void> {
    const { graph, vocabulary } = this.#grammar
    const forced = (await vocabulary.jumpAhead?.tokens(forcedRun(graph, this.#state))) ?? []
    // One token is left to draw after them.
    const inTime = forced.slice(0, Math.max(0, remaining - 1))
    this.#forced = inTime.length > 1 ? inTime : []
  }

  /** Does the long part of the next `fill` without holding up the event loop. */
  async prepareFill(remaining: number): Promise<void> {
    const { masks } = this.#grammar
    const state = this.#state
    await masks.prepare(state)
    const room = roomAfter(remaining)
    const maxRise = masks.fill(state, new Uint32Array(masks.numWords))
    if (isTight(state, maxRise, room)) await masks.prepareNear(state, room)
  }

  /**
   * Sets the bits of the tokens that may come next; of end-of-text tokens those of `endIds`, where the text may end. As
   * long as the text can still end in time, only tokens after which it still can are allowed.
   * @param words [ceil(V / 32)], all 0
   * @param remaining tokens that may still come, this one and that of the end included
   */
  fill(words: Uint32Array, remaining: number, endIds: Iterable<number>): void {
    const { masks } = this.#grammar
    const state = this.#state
    const room = roomAfter(remaining)
    const maxRise = masks.fill(state, words)
    if (isTight(state, maxRise, room)) {
      words.fill(0)
      masks.fillNear(state, words, room)
      if (!state.accepts && words.every(word => word === 0)) masks.fill(state, words)
    }
    if (state.accepts) for (const id of endIds) setBit(words, id)
  }
}

/** Tokens after the next one and before that of the end. */
function roomAfter(remaining: number): number {
  return remaining - 2
}

/** Whether the end is still in reach, but would not be after each of the tokens. */
function isTight(state: MatchState, maxRise: number, room: number): boolean {
  return state.distance + maxRise > room && state.distance <= room + 1
}
