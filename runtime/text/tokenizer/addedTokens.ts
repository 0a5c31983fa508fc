import type { Normalizer } from './normalizer.ts'

/** A token that is found in text as it stands, before any splitting (fields as in tokenizer.json). */
export interface AddedToken {
  id: number
  content: string
  /** Only where no word character touches it. */
  singleWord: boolean
  /** Takes the white space before (after) it along. */
  lstrip: boolean
  rstrip: boolean
  /** Looked for in normalized text. */
  normalized: boolean
  special: boolean
}

interface TrieNode {
  children: Map<number, TrieNode>
  token: AddedToken | undefined
}

/** A stretch of text, or a token found in it. */
export type Segment = { text: string; isTextStart: boolean } | { id: number }

/**
 * Finds added tokens in text: leftmost first, of several at one place the longest.
 * Source: Hugging Face tokenizers `added_vocabulary.rs`.
 */
export class AddedTokenMatcher {
  readonly #root: TrieNode = { children: new Map(), token: undefined }
  /** Code units that begin a token: most of a text is skipped by this alone. */
  readonly #begins = new Uint8Array(0x10000)
  readonly #isEmpty: boolean

  /** @param normalize how the text to search was normalized, for tokens that are `normalized` */
  constructor(tokens: AddedToken[], normalize?: Normalizer) {
    this.#isEmpty = tokens.length === 0
    for (const token of tokens) {
      const content = normalize ? normalize(token.content) : token.content
      if (content === '') continue
      let node = this.#root
      for (let i = 0; i < content.length; i++) {
        const unit = content.charCodeAt(i)
        if (i === 0) this.#begins[unit] = 1
        let child = node.children.get(unit)
        if (child === undefined) {
          child = { children: new Map(), token: undefined }
          node.children.set(unit, child)
        }
        node = child
      }
      node.token ??= token
    }
  }

  /**
   * @param parseSpecial false leaves the text of special tokens alone; other added tokens are still found
   * @param isTextStart `text` begins the whole input
   */
  split(text: string, parseSpecial: boolean, isTextStart: boolean): Segment[] {
    if (this.#isEmpty) return [{ text, isTextStart }]
    const segments: Segment[] = []
    const pushText = (from: number, to: number) => {
      if (to > from) {
        segments.push({ text: text.slice(from, to), isTextStart: isTextStart && from === 0 })
      }
    }
    let done = 0
    let at = 0
    while (at < text.length) {
      const token = this.#begins[text.charCodeAt(at)] ? this.#longestAt(text, at) : undefined
      if (token === undefined) {
        at += 1
        continue
      }
      const [from, found] = token
      at = found.end
      if (!parseSpecial && from.special) continue
      if (from.singleWord && !isAlone(text, found.start, found.end)) continue
      let { start, end } = found
      if (from.lstrip) start = Math.max(done, trimEnd(text, start))
      if (from.rstrip) end = trimStart(text, end)
      pushText(done, start)
      segments.push({ id: from.id })
      done = end
      at = Math.max(at, end)
    }
    pushText(done, text.length)
    return segments
  }

  #longestAt(
    text: string,
    start: number,
  ): [AddedToken, { start: number; end: number }] | undefined {
    let node = this.#root
    let found: AddedToken | undefined
    let end = start
    for (let i = start; i < text.length; i++) {
      const child = node.children.get(text.charCodeAt(i))
      if (child === undefined) break
      node = child
      if (node.token) {
        found = node.token
        end = i + 1
      }
    }
    return found && [found, { start, end }]
  }
}

const wordChar = /[\p{L}\p{M}\p{N}\p{Pc}]/u
const space = /\p{White_Space}/u

function isAlone(text: string, start: number, end: number): boolean {
  const before = text.slice(Math.max(0, start - 2), start)
  const last = Array.from(before).at(-1) ?? ''
  const after = String.fromCodePoint(text.codePointAt(end) ?? 0x20)
  return !wordChar.test(last) && !wordChar.test(after)
}

function trimEnd(text: string, end: number): number {
  let at = end
  while (at > 0 && space.test(text[at - 1] ?? '')) at -= 1
  return at
}

function trimStart(text: string, start: number): number {
  let at = start
  while (at < text.length && space.test(text[at] ?? '')) at += 1
  return at
}
