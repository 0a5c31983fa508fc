import { stateFlag } from './automaton.ts'
import { MaskWalk } from './maskWalk.ts'
import type { MatchGraph, MatchState, Stack } from './matchState.ts'
import type { TokenTrie } from './tokenTrie.ts'

/** Masks remembered for a grammar: one per kind of place in a text, 33 kB each with 262k tokens. */
const maxRemembered = 128
/** Nodes of the trie between two looks at the event loop: a millisecond or two. */
const sliceNodes = 32_768

/**
 * Computes which tokens may come next. A place inside a string or free text allows most of the vocabulary, but which tokens stay
 * inside does not depend on where the string is: that part is computed once (the idea of XGrammar's context-independent
 * tokens, https://arxiv.org/abs/2411.15100), and only tokens that reach beyond the string's end are followed each time.
 */
export class TokenMasks {
  readonly #graph: MatchGraph
  readonly #trie: TokenTrie
  readonly numWords: number
  /** Finished walks by the place they start from, the oldest first. */
  readonly #local = new Map<MatchState, MaskWalk>()
  /** The last walk with a limit. */
  #near: { state: MatchState; maxDistance: number; walk: MaskWalk } | undefined

  constructor(graph: MatchGraph, trie: TokenTrie, vocabSize: number) {
    this.#graph = graph
    this.#trie = trie
    this.numWords = Math.ceil(vocabSize / 32)
  }

  /** Does the long part of the next `fill` from this state, without holding up the event loop. */
  async prepare(state: MatchState): Promise<void> {
    const place = this.#placeOf(state)
    if (!this.#local.has(place.state))
      this.#remember(place.state, await inSlices(this.#walk(place)))
  }

  /** The same for `fillNear`. */
  async prepareNear(state: MatchState, maxDistance: number): Promise<void> {
    const walk = await inSlices(this.#walkNear(state, maxDistance))
    this.#near = { state, maxDistance, walk }
  }

  /**
   * Sets the bit of each token that may follow, control tokens included and end-of-text tokens not.
   * @param words [ceil(V / 32)], all 0
   * @returns by how much `distance` grows at most with one of them
   */
  fill(state: MatchState, words: Uint32Array): number {
    const place = this.#placeOf(state)
    let local = this.#local.get(place.state)
    if (local === undefined) {
      local = this.#walk(place)
      local.run(Infinity)
      this.#remember(place.state, local)
    }
    words.set(local.words)
    let { maxRise } = local
    for (const exit of local.exits) {
      const walk = new MaskWalk(this.#graph, this.#trie, state, words, {}, exit)
      walk.run(Infinity)
      maxRise = Math.max(maxRise, walk.maxRise)
    }
    return maxRise
  }

  /** Sets the bits of those tokens only after which the end is at most `maxDistance` tokens away. */
  fillNear(state: MatchState, words: Uint32Array, maxDistance: number): void {
    const known = this.#near
    if (known?.state === state && known.maxDistance === maxDistance) {
      words.set(known.walk.words)
      return
    }
    const walk = this.#walkNear(state, maxDistance)
    walk.run(Infinity)
    words.set(walk.words)
  }

  #walkNear(state: MatchState, maxDistance: number): MaskWalk {
    const words = new Uint32Array(this.numWords)
    return new MaskWalk(this.#graph, this.#trie, state, words, { maxDistance })
  }

  #walk({ state, isWhole }: Place): MaskWalk {
    const words = new Uint32Array(this.numWords)
    return new MaskWalk(this.#graph, this.#trie, state, words, { findExits: !isWhole })
  }

  #remember(state: MatchState, walk: MaskWalk): void {
    const [oldest] = this.#local.keys()
    if (this.#local.size >= maxRemembered && oldest !== undefined) this.#local.delete(oldest)
    this.#local.set(state, walk)
  }

  #placeOf(state: MatchState): Place {
    const { alike, flags } = this.#graph.automaton
    let base = commonStack(state.stacks)
    // Few tokens stay inside one part of a repetition: whatever repeats it belongs to the place.
    while (base?.parent && (flags[base.returnTo] ?? 0) & stateFlag.repeats) base = base.parent
    // The bottom is that of the text: beyond it is nothing.
    if (base?.parent === undefined || this.#graph.isCrowded(state)) return { state, isWhole: true }
    const stacks = state.stacks.map(stack => this.#rebase(stack, base))
    const states = state.states.map(s => alike[s] ?? s)
    const local = this.#graph.closure(states, stacks)
    if (local === null) throw new Error('a state that cannot go on has no mask')
    return { state: local, isWhole: false }
  }

  /** The same calls over a bottom that stands for whatever `base` is. */
  #rebase(stack: Stack, base: Stack): Stack {
    if (stack === base || stack.parent === undefined) return this.#graph.openBottom
    const { returnTo } = stack
    const { alike } = this.#graph.automaton
    return this.#graph.push(this.#rebase(stack.parent, base), alike[returnTo] ?? returnTo)
  }
}

/** A state without what lies below all of its calls. */
interface Place {
  state: MatchState
  isWhole: boolean
}

async function inSlices(walk: MaskWalk): Promise<MaskWalk> {
  while (!walk.run(sliceNodes)) await new Promise(resolve => setImmediate(resolve))
  return walk
}

/** The longest stack that all of them stand on. */
function commonStack(stacks: readonly Stack[]): Stack | undefined {
  let common = stacks[0]
  for (const stack of stacks) {
    let other: Stack | undefined = stack
    while (common !== other && common !== undefined && other !== undefined) {
      if (common.depth >= other.depth) common = common.parent
      else other = other.parent
    }
    if (other === undefined) return undefined
  }
  return common
}
