/** What a token id is, as bits of `TokenPieces.flags`. */
export const tokenFlag = {
  /** Left out of text when special tokens are skipped. */
  special: 1,
  /** Matched in text before any splitting (special tokens are also added tokens). */
  added: 2,
  /** One raw byte of a character that the vocabulary lacks (`<0xNN>`). */
  byteFallback: 4,
  /** No such token: a hole in the id range. */
  missing: 8,
} as const

/**
 * The decoding side of a tokenizer as plain buffers, so that it can be transferred to another thread: the bytes each
 * token stands for. V tokens.
 */
export interface TokenPieces {
  /** Bytes of all tokens, one after the other. */
  bytes: Uint8Array
  /** [V + 1]; token i is bytes[offsets[i], offsets[i + 1]). */
  offsets: Uint32Array
  /** [V], bits of `tokenFlag`. */
  flags: Uint8Array
  /** What happens to spaces at the start of a decoded text. */
  leadingSpace: 'keep' | 'dropOne' | 'dropInFirstToken'
}

/** Bytes that one token adds to a text, a view; empty for an id outside the vocabulary. */
export function pieceBytes(pieces: TokenPieces, id: number): Uint8Array {
  const start = pieces.offsets[id]
  const end = pieces.offsets[id + 1]
  return start === undefined || end === undefined
    ? pieces.bytes.subarray(0, 0)
    : pieces.bytes.subarray(start, end)
}

/** Collects pieces in id order. */
export class TokenPiecesBuilder {
  #bytes = new Uint8Array(1 << 16)
  #length = 0
  readonly #offsets: Uint32Array
  readonly #flags: Uint8Array
  #count = 0
  readonly #encoder = new TextEncoder()

  constructor(numTokens: number) {
    this.#offsets = new Uint32Array(numTokens + 1)
    this.#flags = new Uint8Array(numTokens)
  }

  addText(text: string, flags: number): void {
    this.#reserve(text.length * 3)
    const { written } = this.#encoder.encodeInto(text, this.#bytes.subarray(this.#length))
    this.#finish(written, flags)
  }

  addBytes(bytes: Uint8Array, flags: number): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#finish(bytes.length, flags)
  }

  addByte(byte: number, flags: number): void {
    this.#reserve(1)
    this.#bytes[this.#length] = byte
    this.#finish(1, flags)
  }

  build(leadingSpace: TokenPieces['leadingSpace']): TokenPieces {
    return {
      bytes: this.#bytes.slice(0, this.#length),
      offsets: this.#offsets,
      flags: this.#flags,
      leadingSpace,
    }
  }

  #reserve(extra: number): void {
    if (this.#length + extra <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + extra))
    grown.set(this.#bytes)
    this.#bytes = grown
  }

  #finish(written: number, flags: number): void {
    this.#length += written
    this.#flags[this.#count] = flags
    this.#count += 1
    this.#offsets[this.#count] = this.#length
  }
}
