import { type TokenPieces, tokenFlag } from '../text/tokenizer/tokenPieces.ts'
import type { TokenLimits } from './automaton.ts'

/**
 * All tokens that spell text, as a tree over their bytes, laid out depth first so that a walk reads memory in order and skips
 * a subtree with one jump. N nodes without the root, V tokens.
 */
export interface TokenTrie {
  /** [N] */
  bytes: Uint8Array<ArrayBuffer>
  /** [N] 0 for the first byte of a token. */
  depths: Uint16Array<ArrayBuffer>
  /** [N] index after the node's subtree. */
  ends: Int32Array<ArrayBuffer>
  /** [N] first token that ends here, -1 for none. */
  tokens: Int32Array<ArrayBuffer>
  /** [V] next token of the same bytes, -1 for none. */
  twins: Int32Array<ArrayBuffer>
  maxDepth: number
}

/** Longer tokens (there are none in real vocabularies) are not offered. */
const maxTokenBytes = 1024

/**
 * Builds the tree; takes about a second for 262k tokens, so not on the event loop.
 * @param vocabSize tokens the model knows; the tokenizer may have more
 */
export function buildTokenTrie(pieces: TokenPieces, vocabSize: number): TokenTrie {
  const { bytes: all, offsets, flags } = pieces
  const length = (id: number) => (offsets[id + 1] ?? 0) - (offsets[id] ?? 0)
  const ids: number[] = []
  for (let id = 0; id < Math.min(flags.length, vocabSize); id++) {
    const isText = ((flags[id] ?? 0) & (tokenFlag.special | tokenFlag.missing)) === 0
    if (isText && length(id) > 0 && length(id) <= maxTokenBytes) ids.push(id)
  }
  const buffer = Buffer.from(all.buffer, all.byteOffset, all.byteLength)
  ids.sort((a, b) => buffer.compare(buffer, offsets[b], offsets[b + 1], offsets[a], offsets[a + 1]))
  const numBytes = ids.reduce((n, id) => n + length(id), 0)
  const bytes = new Uint8Array(numBytes)
  const depths = new Uint16Array(numBytes)
  const ends = new Int32Array(numBytes)
  const tokens = new Int32Array(numBytes).fill(-1)
  const twins = new Int32Array(vocabSize).fill(-1)
  let numNodes = 0
  let maxDepth = 0
  /** Nodes from the root to the last token. */
  const path: number[] = []
  for (const id of ids) {
    const from = offsets[id] ?? 0
    const n = length(id)
    let shared = 0
    while (shared < n && shared < path.length && bytes[path[shared] ?? 0] === all[from + shared]) {
      shared++
    }
    for (const node of path.splice(shared)) ends[node] = numNodes
    for (let i = shared; i < n; i++) {
      bytes[numNodes] = all[from + i] ?? 0
      depths[numNodes] = i
      path.push(numNodes++)
    }
    const last = path[n - 1] ?? 0
    twins[id] = tokens[last] ?? -1
    tokens[last] = id
    maxDepth = Math.max(maxDepth, n)
  }
  for (const node of path) ends[node] = numNodes
  return {
    bytes: bytes.slice(0, numNodes),
    depths: depths.slice(0, numNodes),
    ends: ends.slice(0, numNodes),
    tokens: tokens.slice(0, numNodes),
    twins,
    maxDepth,
  }
}

/** Whether some token is longer than these bytes and begins with them. */
export function isProperPrefix(
  { bytes: nodes, ends, maxDepth }: TokenTrie,
  bytes: Uint8Array,
): boolean {
  if (bytes.length >= maxDepth) return false
  let node = 0
  let end = nodes.length
  for (const byte of bytes) {
    while (node < end && nodes[node] !== byte) node = ends[node] ?? end
    if (node >= end) return false
    end = ends[node] ?? end
    node++
  }
  return node < end
}

/** What a grammar's network has to know of the tokens. */
export function tokenLimits({ bytes, depths, tokens, maxDepth }: TokenTrie): TokenLimits {
  const byteTokens = new Uint8Array(256)
  for (let node = 0; node < bytes.length; node++) {
    if (depths[node] === 0 && (tokens[node] ?? -1) >= 0) byteTokens[bytes[node] ?? 0] = 1
  }
  return { byteTokens, maxTokenBytes: maxDepth }
}
