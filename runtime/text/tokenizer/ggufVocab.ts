import { FileFormatError } from '../../weights/fileFormatError.ts'
import type { GgufFile } from '../../weights/gguf.ts'
import { GgufStrings } from '../../weights/ggufStrings.ts'
import type { GgufValue } from '../../weights/ggufValues.ts'
import type { AddedToken } from './addedTokens.ts'
import { findEndIds } from './endTokens.ts'
import type { TokenizerParts } from './tokenizer.ts'
import { type TokenPieces, TokenPiecesBuilder, tokenFlag } from './tokenPieces.ts'
import { TokenTable } from './tokenTable.ts'

/** `tokenizer.ggml.token_type`. */
const tokenType = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const

/**
 * Tags that are text to whoever reads the output. Some conversions mark them as control tokens, where the original
 * tokenizer has `special: false`; skipped, they would take tool calls and reasoning away from their parsers.
 */
const visibleTags = new Set([
  '<think>',
  '</think>',
  '<tool_call>',
  '</tool_call>',
  '<tool_response>',
  '</tool_response>',
])

/** What a token stands for, from the bytes the file writes it in. */
type TokenBytes = (token: Uint8Array) => Uint8Array | undefined

/** The vocabulary part of a file's metadata, with checks. V tokens. */
export class GgufVocab {
  readonly file: GgufFile
  readonly tokens: GgufStrings
  /** [V], values of `tokenType`. */
  readonly types: Int32Array

  constructor(file: GgufFile) {
    this.file = file
    const tokens = file.metadata.get('tokenizer.ggml.tokens')
    if (!(tokens instanceof GgufStrings) || tokens.length === 0) {
      throw this.error('tokenizer.ggml.tokens is missing or not a list of strings')
    }
    this.tokens = tokens
    const types = file.metadata.get('tokenizer.ggml.token_type')
    if (types === undefined) this.types = new Int32Array(tokens.length).fill(tokenType.normal)
    else if (types instanceof Int32Array && types.length === tokens.length) {
      this.types = types.map((type, id) =>
        type === tokenType.control && visibleTags.has(tokens.at(id) ?? '')
          ? tokenType.userDefined
          : type,
      )
    } else throw this.error('tokenizer.ggml.token_type is not one int32 for each token')
  }

  error(reason: string): FileFormatError {
    return new FileFormatError(this.file.path, reason)
  }

  string(key: string, fallback?: string): string {
    const value = this.file.metadata.get(key) ?? fallback
    if (typeof value !== 'string') throw this.error(`${key} is missing or not a string`)
    return value
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.file.metadata.get(key) ?? fallback
    if (typeof value !== 'boolean') throw this.error(`${key} is not a boolean`)
    return value
  }

  /** A token id under `key`; one outside the vocabulary counts as missing, as in llama.cpp. */
  id(key: string, fallback: number | undefined): number | undefined {
    const value: GgufValue | undefined = this.file.metadata.get(key) ?? fallback
    if (value === undefined) return undefined
    if (typeof value !== 'number' && typeof value !== 'bigint') {
      throw this.error(`${key} is not a number`)
    }
    const id = Number(value)
    return Number.isInteger(id) && id >= 0 && id < this.tokens.length ? id : undefined
  }

  unkId(): number | undefined {
    const firstUnknown = this.types.indexOf(tokenType.unknown)
    return this.id('tokenizer.ggml.unknown_token_id', firstUnknown < 0 ? undefined : firstUnknown)
  }

  scores(): Float32Array {
    const scores = this.file.metadata.get('tokenizer.ggml.scores')
    const isNumeric = scores instanceof Float32Array || scores instanceof Int32Array
    if (!isNumeric || scores.length !== this.tokens.length) {
      throw this.error('tokenizer.ggml.scores is not one number for each token')
    }
    return Float32Array.from(scores)
  }

  /** Tokens of raw bytes, [256], -1 where there is none. */
  byteIds(): Int32Array {
    const ids = new Int32Array(256).fill(-1)
    for (let id = 0; id < this.tokens.length; id++) {
      if (this.types[id] !== tokenType.byte) continue
      const byte = byteOfToken(this.tokens.at(id) ?? '')
      if (byte !== undefined && ids[byte] === -1) ids[byte] = id
    }
    return ids
  }

  /**
   * Look-up of the tokens that text can become by merging: neither control tokens nor raw bytes.
   * @param toBytes the bytes a token stands for; by default its UTF-8
   */
  table(toBytes: TokenBytes | undefined): TokenTable {
    const builder = new TokenPiecesBuilder(this.tokens.length)
    const none = new Uint8Array(0)
    for (let id = 0; id < this.tokens.length; id++) {
      const type = this.types[id]
      const isText =
        type !== tokenType.control && type !== tokenType.unknown && type !== tokenType.byte
      if (!isText) builder.addBytes(none, 0)
      else if (toBytes) builder.addBytes(toBytes(this.tokens.bytes(id)) ?? none, 1)
      else builder.addBytes(this.tokens.bytes(id), 1)
    }
    const { bytes, offsets, flags } = builder.build('keep')
    return new TokenTable(bytes, offsets, id => flags[id] === 1)
  }

  /** @param decode what a normal token adds to a text */
  pieces(
    leadingSpace: TokenPieces['leadingSpace'],
    decode: (token: Uint8Array) => string | Uint8Array,
  ): TokenPieces {
    const builder = new TokenPiecesBuilder(this.tokens.length)
    for (let id = 0; id < this.tokens.length; id++) {
      const bytes = this.tokens.bytes(id)
      const type = this.types[id]
      const byte = type === tokenType.byte ? byteOfToken(this.tokens.at(id) ?? '') : undefined
      if (byte !== undefined) {
        builder.addByte(byte, tokenFlag.byteFallback)
      } else if (type === tokenType.control || type === tokenType.unknown) {
        builder.addBytes(bytes, tokenFlag.added | tokenFlag.special)
      } else if (type === tokenType.userDefined) {
        builder.addBytes(bytes, tokenFlag.added)
      } else {
        const piece = decode(bytes)
        if (typeof piece === 'string') builder.addText(piece, 0)
        else builder.addBytes(piece, 0)
      }
    }
    return builder.build(leadingSpace)
  }

  finder(
    table: TokenTable,
    toBytes: TokenBytes | undefined,
  ): (content: string) => number | undefined {
    const encoder = new TextEncoder()
    return content => {
      const text = encoder.encode(content)
      const bytes = toBytes ? toBytes(text) : text
      const id = bytes ? table.find(bytes, 0, bytes.length) : -1
      return id < 0 ? undefined : id
    }
  }

  /** What every kind of vocabulary has: added tokens, special ids, what goes around a text. */
  commonParts(defaults: {
    addBos: boolean
    addEos: boolean
    /** The file's own word is wrong for this family. */
    forceBos?: boolean
    bosId?: number
    eosId?: number
  }): Pick<
    TokenizerParts,
    'addedTokens' | 'prefixIds' | 'suffixIds' | 'bosId' | 'eosId' | 'endIds'
  > {
    const bosId = this.id('tokenizer.ggml.bos_token_id', defaults.bosId)
    const eosId = this.id('tokenizer.ggml.eos_token_id', defaults.eosId)
    const addBos =
      this.boolean('tokenizer.ggml.add_bos_token', defaults.addBos) || (defaults.forceBos ?? false)
    const addEos = this.boolean('tokenizer.ggml.add_eos_token', defaults.addEos)
    if (addBos && bosId === undefined) throw this.error('add_bos_token without bos_token_id')
    if (addEos && eosId === undefined) throw this.error('add_eos_token without eos_token_id')
    const addedTokens = this.#addedTokens()
    return {
      addedTokens,
      prefixIds: addBos && bosId !== undefined ? [bosId] : [],
      suffixIds: addEos && eosId !== undefined ? [eosId] : [],
      bosId,
      eosId,
      endIds: findEndIds(addedTokens, [
        eosId,
        this.id('tokenizer.ggml.eot_token_id', undefined),
        this.id('tokenizer.ggml.eom_token_id', undefined),
      ]),
    }
  }

  #addedTokens(): AddedToken[] {
    // Phi-3 was trained with white space after its control tokens dropped; the file has no field that says so.
    const name = this.file.metadata.get('general.name')
    const isPhi3 = typeof name === 'string' && /phi-?3/i.test(name)
    const keepsSpace = new Set(['<unk>', '<s>', '<|endoftext|>'])
    const added: AddedToken[] = []
    for (let id = 0; id < this.tokens.length; id++) {
      const type = this.types[id]
      const isSpecial = type === tokenType.control || type === tokenType.unknown
      const content = this.tokens.at(id) ?? ''
      const isPhi3End = isPhi3 && content === '</s>'
      if (!isSpecial && type !== tokenType.userDefined && !isPhi3End) continue
      added.push({
        id,
        content,
        singleWord: false,
        lstrip: false,
        rstrip: isPhi3 && !keepsSpace.has(content),
        normalized: false,
        special: isSpecial,
      })
    }
    return added
  }
}

function byteOfToken(text: string): number | undefined {
  const match = /^<0x([0-9A-Fa-f]{2})>$/.exec(text)
  return match ? Number.parseInt(match[1] ?? '', 16) : undefined
}
