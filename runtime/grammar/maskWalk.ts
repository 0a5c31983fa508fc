import { setBit } from './bits.ts'
import type { MatchGraph, MatchState } from './matchState.ts'
import type { TokenTrie } from './tokenTrie.ts'

/** Where in the trie a text may leave the state's own rules: below there the callers decide. */
export interface Exit {
  node: number
  /** From the root to the node. */
  bytes: Uint8Array
}

export interface MaskWalkOptions {
  /** Allow only tokens after which the end is at most so many tokens away. */
  maxDistance?: number
  /** Note where a text may be beyond an open bottom. */
  findExits?: boolean
}

/** Follows all tokens from a state through the tree of their bytes, as far at a time as its caller likes. */
export class MaskWalk {
  /** [ceil(V / 32)] bit set = allowed */
  readonly words: Uint32Array
  readonly exits: Exit[] = []
  /** By how much the distance to an end grows at most with an allowed token. */
  maxRise = 0
  readonly #graph: MatchGraph
  readonly #trie: TokenTrie
  readonly #maxDistance: number
  readonly #findExits: boolean
  readonly #before: number
  /** State before a node at each depth, and the bytes between. */
  readonly #path: MatchState[]
  readonly #bytes: Uint8Array
  #node: number
  readonly #end: number

  /**
   * @param words takes the bits; others stay
   * @param below the state stands at this exit: follow only what is longer
   */
  constructor(
    graph: MatchGraph,
    trie: TokenTrie,
    state: MatchState,
    words: Uint32Array,
    { maxDistance = Infinity, findExits = false }: MaskWalkOptions,
    below?: Exit,
  ) {
    this.#graph = graph
    this.#trie = trie
    this.words = words
    this.#maxDistance = maxDistance
    this.#findExits = findExits
    this.#before = state.distance
    this.#path = [state]
    this.#bytes = new Uint8Array(trie.maxDepth)
    if (below === undefined) {
      this.#node = 0
      this.#end = trie.bytes.length
      this.#takeControls(state)
      return
    }
    const isThere = this.#follow(below.bytes)
    this.#node = isThere ? below.node + 1 : 0
    this.#end = isThere ? (trie.ends[below.node] ?? 0) : 0
  }

  /** @returns whether the walk is at its end */
  run(maxNodes: number): boolean {
    const { bytes, depths, ends, tokens, twins } = this.#trie
    const [graph, path, words] = [this.#graph, this.#path, this.words]
    const [end, maxDistance, findExits] = [this.#end, this.#maxDistance, this.#findExits]
    let node = this.#node
    let furthest = -Infinity
    for (let n = 0; node < end && n < maxNodes; n++) {
      const depth = depths[node] ?? 0
      const byte = bytes[node] ?? 0
      const state = path[depth]
      let after = state?.next[byte]
      if (after === undefined && state !== undefined) after = graph.step(state, byte)
      if (after === null || after === undefined) {
        node = ends[node] ?? end
        continue
      }
      const token = tokens[node] ?? -1
      if (token >= 0 && after.distance <= maxDistance) {
        for (let id = token; id >= 0; id = twins[id] ?? -1) setBit(words, id)
        if (after.distance > furthest) furthest = after.distance
      }
      if (findExits) {
        this.#bytes[depth] = byte
        if (after.accepts && (ends[node] ?? 0) > node + 1) {
          this.exits.push({ node, bytes: this.#bytes.slice(0, depth + 1) })
        }
      }
      path[depth + 1] = after
      node++
    }
    this.#node = node
    this.maxRise = Math.max(this.maxRise, furthest - this.#before)
    return node >= end
  }

  #takeControls(state: MatchState): void {
    for (const [id, after] of state.tokens) {
      if (after.distance > this.#maxDistance) continue
      setBit(this.words, id)
      this.maxRise = Math.max(this.maxRise, after.distance - this.#before)
    }
  }

  #follow(bytes: Uint8Array): boolean {
    for (const [depth, byte] of bytes.entries()) {
      const state = this.#path[depth]
      const after = state && this.#graph.step(state, byte)
      if (!after) return false
      this.#path[depth + 1] = after
    }
    return true
  }
}
