import { pieceBytes, type TokenPieces, tokenFlag } from './tokenPieces.ts'

const replacement = '\ufffd'

/**
 * Turns a sequence's tokens into text one by one, never splitting a character: bytes of an unfinished one wait for the
 * next token. What all `push` and the final `flush` return, joined, is the decoding of the whole sequence.
 */
export class Detokenizer {
  readonly #pieces: TokenPieces
  readonly #skipSpecial: boolean
  readonly #keep: ReadonlySet<number> | undefined
  /** Bytes of an unfinished character, from byte-fallback tokens or from byte-level ones. */
  #pending = new Uint8Array(0)
  #pendingIsFallback = false
  #isFirstToken = true
  #isTextStart = true

  /**
   * @param options.skipSpecialTokens leave control tokens out of the text
   * @param options.keep control tokens to show all the same
   * @param options.continuation the tokens go on after other text: a leading space stays even where the decoder of a
   * whole text drops it
   */
  constructor(
    pieces: TokenPieces,
    options: { skipSpecialTokens: boolean; keep?: ReadonlySet<number>; continuation?: boolean },
  ) {
    this.#pieces = pieces
    this.#skipSpecial = options.skipSpecialTokens
    this.#keep = options.keep
    if (options.continuation) {
      this.#isFirstToken = false
      this.#isTextStart = false
    }
  }

  /** Text completed by the next token, often one word, sometimes nothing. An id without a token adds nothing. */
  push(id: number): string {
    const flags = this.#pieces.flags[id] ?? tokenFlag.missing
    if (flags & tokenFlag.missing) return ''
    if (this.#skipSpecial && flags & tokenFlag.special && !this.#keep?.has(id)) return ''
    const bytes = pieceBytes(this.#pieces, id)
    const text = flags & tokenFlag.byteFallback ? this.#pushFallback(bytes) : this.#pushBytes(bytes)
    return this.#trimStart(text)
  }

  /** True while bytes of an unfinished character wait for the next token. */
  get isMidCharacter(): boolean {
    return this.#pending.length > 0
  }

  /** Text of what is left at the end of the sequence: bytes that never became a character. */
  flush(): string {
    return this.#trimStart(this.#abandonPending())
  }

  #pushBytes(bytes: Uint8Array): string {
    // A run of fallback bytes ends with the first token that is not one.
    const before = this.#pendingIsFallback ? this.#abandonPending() : ''
    const all = this.#pending.length > 0 ? concat(this.#pending, bytes) : bytes
    const complete = all.length - unfinishedTail(all)
    this.#pending = all.slice(complete)
    return before + decodeUtf8(all.subarray(0, complete))
  }

  /** Bytes that cannot be part of a character become one U+FFFD each, as in the reference's ByteFallback decoder. */
  #pushFallback(bytes: Uint8Array): string {
    let text = this.#pendingIsFallback ? '' : this.#abandonPending()
    let run = concat(this.#pending, bytes)
    while (run.length > 0) {
      const length = characterLength(run)
      if (length === 'unfinished') break
      if (length === 'invalid') {
        text += replacement
        run = run.subarray(1)
      } else {
        text += decodeUtf8(run.subarray(0, length))
        run = run.subarray(length)
      }
    }
    this.#pending = run.slice()
    this.#pendingIsFallback = run.length > 0
    return text
  }

  #abandonPending(): string {
    if (this.#pending.length === 0) return ''
    const text = replacement.repeat(this.#pendingIsFallback ? this.#pending.length : 1)
    this.#pending = new Uint8Array(0)
    this.#pendingIsFallback = false
    return text
  }

  #trimStart(text: string): string {
    if (!this.#isTextStart || text === '') return text
    const mode = this.#pieces.leadingSpace
    const isFirstToken = this.#isFirstToken
    this.#isFirstToken = false
    this.#isTextStart = false
    if (mode === 'dropOne') return text.startsWith(' ') ? text.slice(1) : text
    if (mode === 'dropInFirstToken' && isFirstToken) return text.replace(/^ +/, '')
    return text
  }
}

/** Decodes a whole sequence; ids without a token add nothing. */
export function detokenize(
  pieces: TokenPieces,
  ids: Iterable<number>,
  options: { skipSpecialTokens: boolean },
): string {
  const detokenizer = new Detokenizer(pieces, options)
  let text = ''
  for (const id of ids) text += detokenizer.push(id)
  return text + detokenizer.flush()
}

function decodeUtf8(bytes: Uint8Array): string {
  let ascii = ''
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] ?? 0
    if (byte >= 0x80 || i >= 16) {
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
    }
    ascii += String.fromCharCode(byte)
  }
  return ascii
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(a.length + b.length)
  all.set(a)
  all.set(b, a.length)
  return all
}

/** How many bytes at the end are the beginning of a character that may still be completed: 0 to 3. */
function unfinishedTail(bytes: Uint8Array): number {
  const end = bytes.length
  for (let n = 1; n <= 3 && n <= end; n++) {
    const byte = bytes[end - n] ?? 0
    if (byte < 0x80) return 0
    if (byte >= 0xc0) return characterLength(bytes.subarray(end - n)) === 'unfinished' ? n : 0
  }
  return 0
}

/**
 * Length of the character at the start of non-empty bytes.
 * Source: the table of well-formed UTF-8 sequences, Unicode 15 table 3-7.
 */
function characterLength(bytes: Uint8Array): number | 'unfinished' | 'invalid' {
  const lead = bytes[0] ?? 0
  if (lead < 0x80) return 1
  if (lead < 0xc2 || lead > 0xf4) return 'invalid'
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
  for (let i = 1; i < length; i++) {
    const byte = bytes[i]
    if (byte === undefined) return 'unfinished'
    let low = 0x80
    let high = 0xbf
    if (i === 1) {
      if (lead === 0xe0) low = 0xa0
      else if (lead === 0xed) high = 0x9f
      else if (lead === 0xf0) low = 0x90
      else if (lead === 0xf4) high = 0x8f
    }
    if (byte < low || byte > high) return 'invalid'
  }
  return length
}
