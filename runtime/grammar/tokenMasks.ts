import { setBit } from './bits.ts'
import { bottom, type MatchGraph, type MatchState, type Stack } from './matchState.ts'
import type { TokenTrie } from './tokenTrie.ts'

/** What a state allows, apart from anything below its calls. */
interface LocalMask {
  /** [ceil(V / 32)] */
  words: Uint32Array
  /** Where in the trie the text may leave the state's own rules: below there the callers decide. */
  exits: Exit[]
  /** By how much the distance to an end grows at most with an allowed token. */
  maxRise: number
}

interface Exit {
  node: number
  /** From the root to the node. */
  bytes: Uint8Array
}

/** Masks remembered for a grammar: one per kind of place in a text, 33 kB each with 262k tokens. */
const maxRemembered = 64

/**
 * Computes which tokens may come next. A place inside a string or free text allows most of the vocabulary, but which tokens stay
 * inside does not depend on where the string is: that part is computed once (the idea of XGrammar's context-independent
 * tokens, https://arxiv.org/abs/2411.15100), and only tokens that reach beyond the string's end are followed each time.
 */
export class TokenMasks {
  readonly #graph: MatchGraph
  readonly #trie: TokenTrie
  readonly #numWords: number
  /** States on the path to the node a walk is at. */
  readonly #path: MatchState[] = []
  /** Bytes of that path. */
  readonly #way: Uint8Array
  readonly #openBottom = bottom()
  readonly #local = new Map<MatchState, LocalMask>()

  constructor(graph: MatchGraph, trie: TokenTrie, vocabSize: number) {
    this.#graph = graph
    this.#trie = trie
    this.#way = new Uint8Array(trie.maxDepth)
    this.#numWords = Math.ceil(vocabSize / 32)
  }

  /**
   * Sets the bit of each token that may follow, control tokens included and end-of-text tokens not.
   * @param words [ceil(V / 32)], all 0
   * @returns by how much `distance` grows at most with one of them
   */
  fill(state: MatchState, words: Uint32Array): number {
    const base = commonStack(state.stacks)
    const isWhole = base?.parent === undefined
    const local = this.#localMask(isWhole ? state : this.#rebased(state, base), isWhole)
    words.set(local.words)
    let maxRise = local.maxRise
    for (const exit of local.exits) {
      maxRise = Math.max(maxRise, this.#walkBelow(state, exit, words))
    }
    return maxRise
  }

  /** Sets the bits of those tokens only after which the end is at most `maxDistance` tokens away. */
  fillNear(state: MatchState, words: Uint32Array, maxDistance: number): void {
    this.#walkAll(state, words, maxDistance, undefined)
  }

  /** @param isWhole the state's bottom is that of the text: beyond it is nothing */
  #localMask(state: MatchState, isWhole: boolean): LocalMask {
    const known = this.#local.get(state)
    if (known !== undefined) return known
    const words = new Uint32Array(this.#numWords)
    const exits: Exit[] = []
    const maxRise = this.#walkAll(state, words, Infinity, isWhole ? undefined : exits)
    const mask = { words, exits, maxRise }
    if (this.#local.size >= maxRemembered) this.#local.clear()
    this.#local.set(state, mask)
    return mask
  }

  #rebased(state: MatchState, base: Stack): MatchState {
    const stacks = state.stacks.map(stack => this.#rebase(stack, base))
    const local = this.#graph.closure([...state.states], stacks)
    if (local === null) throw new Error('a state that cannot go on has no mask')
    return local
  }

  /** The same calls over a bottom that stands for whatever `base` is. */
  #rebase(stack: Stack, base: Stack): Stack {
    if (stack === base || stack.parent === undefined) return this.#openBottom
    return this.#graph.push(this.#rebase(stack.parent, base), stack.returnTo)
  }

  #walkAll(
    state: MatchState,
    words: Uint32Array,
    maxDistance: number,
    exits: Exit[] | undefined,
  ): number {
    let maxRise = 0
    for (const [id, after] of state.tokens) {
      if (after.distance > maxDistance) continue
      setBit(words, id)
      maxRise = Math.max(maxRise, after.distance - state.distance)
    }
    this.#path[0] = state
    const rise = this.#walk(0, this.#trie.bytes.length, 0, words, maxDistance, exits)
    return Math.max(maxRise, rise)
  }

  /** Follows the tokens that begin with the bytes of a node, and are longer. */
  #walkBelow(state: MatchState, { node, bytes }: Exit, words: Uint32Array): number {
    let after: MatchState | null = state
    this.#path[0] = state
    for (const [depth, byte] of bytes.entries()) {
      after = this.#graph.step(after, byte)
      if (after === null) return 0
      this.#path[depth + 1] = after
    }
    return this.#walk(node + 1, this.#trie.ends[node] ?? 0, 0, words, Infinity, undefined)
  }

  /**
   * Walks nodes from..end; the state before a node at depth d is #path[d].
   * @param exits takes the nodes after which the text may be beyond the open bottom
   */
  #walk(
    from: number,
    end: number,
    rise: number,
    words: Uint32Array,
    maxDistance: number,
    exits: Exit[] | undefined,
  ): number {
    const { bytes, depths, ends, tokens, twins } = this.#trie
    const path = this.#path
    const way = this.#way
    const graph = this.#graph
    const before = path[0]?.distance ?? 0
    for (let node = from; node < end; ) {
      const depth = depths[node] ?? 0
      const state = path[depth]
      const byte = bytes[node] ?? 0
      let after = state?.next[byte]
      if (after === undefined && state !== undefined) after = graph.step(state, byte)
      if (after === null || after === undefined) {
        node = ends[node] ?? end
        continue
      }
      const token = tokens[node] ?? -1
      if (token >= 0 && after.distance <= maxDistance) {
        for (let id = token; id >= 0; id = twins[id] ?? -1) setBit(words, id)
        if (after.distance - before > rise) rise = after.distance - before
      }
      way[depth] = byte
      if (exits !== undefined && after.accepts && (ends[node] ?? 0) > node + 1) {
        exits.push({ node, bytes: way.slice(0, depth + 1) })
      }
      path[depth + 1] = after
      node++
    }
    return rise
  }
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
