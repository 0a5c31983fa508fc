import type { JsonReader } from './jsonReader.ts'

/** Texts one after the other; text i is bytes[offsets[i], offsets[i + 1]). */
export interface TextList {
  bytes: Uint8Array
  offsets: Uint32Array
}

export interface ScannedTokenizer {
  /** Everything but the large tables, which are empty here where they were scanned. */
  root: unknown
  /** `model.vocab` of BPE: token texts and their ids. */
  vocab: { texts: TextList; ids: Float64Array } | undefined
  /** `model.merges`: left and right of each, in turn. */
  merges: TextList | undefined
}

/**
 * Parses a tokenizer.json whose vocabulary may have a quarter of a million tokens and twice as many merges. Those two
 * tables are read from the bytes as they are, without a JavaScript string or array for each entry: loading Gemma 4's
 * 32 MB takes 1.0 s where JSON.parse and look-ups by string took 5.4 s (two busy cores). The rest goes through
 * JSON.parse.
 * @throws FileFormatError when it is not JSON
 */
export function scanTokenizerJson(reader: JsonReader, source: Uint8Array): ScannedTokenizer {
  return new Scanner(reader, source).scan()
}

const ascii = {
  quote: 0x22,
  backslash: 0x5c,
  openBrace: 0x7b,
  closeBrace: 0x7d,
  openBracket: 0x5b,
  closeBracket: 0x5d,
  colon: 0x3a,
  comma: 0x2c,
  space: 0x20,
} as const

class Scanner {
  readonly #reader: JsonReader
  readonly #source: Uint8Array
  #at = 0
  #vocab: ScannedTokenizer['vocab']
  #merges: TextList | undefined
  /** [start, end) of what was scanned, in order. */
  readonly #scanned: { start: number; end: number; stub: string }[] = []

  constructor(reader: JsonReader, source: Uint8Array) {
    this.#reader = reader
    this.#source = source
  }

  scan(): ScannedTokenizer {
    const decoder = new TextDecoder()
    // A byte order mark is no JSON, but editors leave it.
    if (this.#source[0] === 0xef && this.#source[1] === 0xbb) this.#at = 3
    let start = this.#at
    if (this.#peek() === ascii.openBrace) {
      this.#members(key => {
        if (key === 'model' && this.#peek() === ascii.openBrace) this.#model()
        else this.#skipValue()
      })
    }
    let text = ''
    for (const { start: from, end, stub } of this.#scanned) {
      text += decoder.decode(this.#source.subarray(start, from)) + stub
      start = end
    }
    text += decoder.decode(this.#source.subarray(start))
    return { root: this.#reader.parse(text), vocab: this.#vocab, merges: this.#merges }
  }

  #model(): void {
    this.#members(key => {
      const start = this.#skipSpace()
      if (key === 'vocab' && this.#peek() === ascii.openBrace && !this.#vocab) {
        this.#vocab = this.#readVocab()
        this.#scanned.push({ start, end: this.#at, stub: '{}' })
      } else if (key === 'merges' && this.#peek() === ascii.openBracket && !this.#merges) {
        this.#merges = this.#readMerges()
        this.#scanned.push({ start, end: this.#at, stub: '[]' })
      } else {
        this.#skipValue()
      }
    })
  }

  #error(what: string): Error {
    return this.#reader.error(`not valid JSON: ${what} at byte ${this.#at}`)
  }

  #skipSpace(): number {
    const source = this.#source
    for (;;) {
      const byte = source[this.#at]
      if (byte !== ascii.space && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return this.#at
      this.#at += 1
    }
  }

  #peek(): number {
    this.#skipSpace()
    return this.#source[this.#at] ?? -1
  }

  #expect(byte: number): void {
    if (this.#peek() !== byte) throw this.#error(`no '${String.fromCharCode(byte)}'`)
    this.#at += 1
  }

  /** The members of an object; `value` is called with the position before each value and must consume it. */
  #members(value: (key: string) => void): void {
    this.#expect(ascii.openBrace)
    if (this.#peek() === ascii.closeBrace) {
      this.#at += 1
      return
    }
    for (;;) {
      const key = new TextBuffer()
      this.#string(key)
      this.#expect(ascii.colon)
      value(key.text())
      if (this.#peek() === ascii.comma) this.#at += 1
      else break
    }
    this.#expect(ascii.closeBrace)
  }

  #readVocab(): { texts: TextList; ids: Float64Array } {
    const texts = new TextBuffer()
    let ids = new Float64Array(1024)
    let count = 0
    this.#expect(ascii.openBrace)
    if (this.#peek() !== ascii.closeBrace) {
      for (;;) {
        this.#string(texts)
        this.#expect(ascii.colon)
        if (count === ids.length) {
          const grown = new Float64Array(count * 2)
          grown.set(ids)
          ids = grown
        }
        ids[count++] = this.#number()
        if (this.#peek() !== ascii.comma) break
        this.#at += 1
      }
    }
    this.#expect(ascii.closeBrace)
    return { texts: texts.list(), ids: ids.subarray(0, count) }
  }

  /** Entries are pairs, or in older files one text with a space between. */
  #readMerges(): TextList {
    const texts = new TextBuffer()
    this.#expect(ascii.openBracket)
    if (this.#peek() !== ascii.closeBracket) {
      for (let i = 0; ; i++) {
        const first = this.#peek()
        if (first === ascii.openBracket) {
          this.#at += 1
          this.#mergePart(texts, i)
          if (this.#peek() !== ascii.comma) throw this.#badMerge(i)
          this.#at += 1
          this.#mergePart(texts, i)
          if (this.#peek() !== ascii.closeBracket) throw this.#badMerge(i)
          this.#at += 1
        } else {
          this.#mergePart(texts, i)
          if (!texts.splitLastAtSpace()) throw this.#badMerge(i)
        }
        if (this.#peek() !== ascii.comma) break
        this.#at += 1
      }
    }
    this.#expect(ascii.closeBracket)
    return texts.list()
  }

  #mergePart(texts: TextBuffer, i: number): void {
    if (this.#peek() !== ascii.quote) throw this.#badMerge(i)
    this.#string(texts)
  }

  #badMerge(i: number): Error {
    return this.#reader.error(`model.merges[${i}] is not a pair of tokens`)
  }

  /** A number, or NaN where something else is. */
  #number(): number {
    const start = this.#skipSpace()
    const source = this.#source
    let value = 0
    let digits = 0
    for (;;) {
      const digit = (source[this.#at] ?? 0) - 0x30
      if (!(digit >= 0 && digit <= 9)) break
      value = value * 10 + digit
      digits += 1
      this.#at += 1
    }
    const next = source[this.#at]
    const isWhole = next !== 0x2e && next !== 0x65 && next !== 0x45
    if (digits > 0 && isWhole) return value
    this.#at = start
    this.#skipValue()
    const text = new TextDecoder().decode(source.subarray(start, Math.min(this.#at, start + 64)))
    return /^[-\d]/.test(text) ? Number(text) : Number.NaN
  }

  /** Reads a string and adds it to `out` as one text. */
  #string(out: TextBuffer): void {
    this.#expect(ascii.quote)
    const source = this.#source
    let at = this.#at
    for (;;) {
      const byte = source[at]
      if (byte === undefined) {
        this.#at = at
        throw this.#error('an unfinished string')
      }
      at += 1
      if (byte === ascii.quote) break
      if (byte === ascii.backslash) {
        this.#at = at
        this.#escape(out)
        at = this.#at
      } else {
        out.pushByte(byte)
      }
    }
    this.#at = at
    out.endText()
  }

  /** After a backslash. */
  #escape(out: TextBuffer): void {
    const char = String.fromCharCode(this.#source[this.#at] ?? 0)
    this.#at += 1
    const simple = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', '"': '"', '\\': '\\', '/': '/' }
    if (char !== 'u') {
      const value = Object.hasOwn(simple, char) ? simple[char as keyof typeof simple] : undefined
      if (value === undefined) throw this.#error('a bad escape')
      out.pushByte(value.charCodeAt(0))
      return
    }
    let unit = this.#hex()
    if (unit >= 0xd800 && unit < 0xdc00 && this.#source[this.#at] === ascii.backslash) {
      const before = this.#at
      this.#at += 2
      const low = this.#source[before + 1] === 0x75 ? this.#hex() : 0
      if (low >= 0xdc00 && low < 0xe000) {
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
      } else {
        this.#at = before
      }
    }
    for (const byte of Buffer.from(String.fromCodePoint(unit), 'utf8')) out.pushByte(byte)
  }

  #hex(): number {
    const text = String.fromCharCode(...this.#source.subarray(this.#at, this.#at + 4))
    if (!/^[\da-fA-F]{4}$/.test(text)) throw this.#error('a bad escape')
    this.#at += 4
    return Number.parseInt(text, 16)
  }

  /** Skips any value by counting brackets outside of strings; JSON.parse checks it later. */
  #skipValue(): void {
    const source = this.#source
    let depth = 0
    this.#skipSpace()
    for (;;) {
      const byte = source[this.#at]
      if (byte === undefined) throw this.#error('unexpected end')
      if (byte === ascii.quote) this.#skipString()
      else if (byte === ascii.openBrace || byte === ascii.openBracket) depth += 1
      else if (byte === ascii.closeBrace || byte === ascii.closeBracket) {
        if (depth === 0) return
        depth -= 1
      } else if (byte === ascii.comma && depth === 0) return
      if (byte !== ascii.quote) this.#at += 1
      if (depth === 0 && (byte === ascii.closeBrace || byte === ascii.closeBracket)) return
    }
  }

  #skipString(): void {
    const source = this.#source
    let at = this.#at + 1
    while (source[at] !== ascii.quote) {
      if (source[at] === undefined) throw this.#error('an unfinished string')
      at += source[at] === ascii.backslash ? 2 : 1
    }
    this.#at = at + 1
  }
}

/** Collects texts in two growing buffers. */
class TextBuffer {
  #bytes = new Uint8Array(64)
  #length = 0
  #offsets = new Uint32Array(64)
  #count = 0

  pushByte(byte: number): void {
    if (this.#length === this.#bytes.length) {
      const grown = new Uint8Array(this.#length * 2)
      grown.set(this.#bytes)
      this.#bytes = grown
    }
    this.#bytes[this.#length++] = byte
  }

  endText(): void {
    this.#count += 1
    if (this.#count === this.#offsets.length) {
      const grown = new Uint32Array(this.#count * 2)
      grown.set(this.#offsets)
      this.#offsets = grown
    }
    this.#offsets[this.#count] = this.#length
  }

  /** Makes two texts of the last, without the space between; false when there is none inside. */
  splitLastAtSpace(): boolean {
    const start = this.#offsets[this.#count - 1] ?? 0
    const space = this.#bytes.indexOf(ascii.space, start)
    if (space <= start || space >= this.#length - 1) return false
    this.#bytes.copyWithin(space, space + 1, this.#length)
    this.#length -= 1
    this.#offsets[this.#count] = space
    this.endText()
    return true
  }

  text(): string {
    return new TextDecoder().decode(this.#bytes.subarray(0, this.#length))
  }

  list(): TextList {
    return {
      bytes: this.#bytes.subarray(0, this.#length),
      offsets: this.#offsets.subarray(0, this.#count + 1),
    }
  }
}
