import type { AddedToken } from './addedTokens.ts'
import { BpeModel } from './bpeModel.ts'
import { byteLevelBytes, byteLevelChars } from './byteLevel.ts'
import { type JsonReader, type JsonRecord, JsonReader as Reader } from './jsonReader.ts'
import { MergeTable } from './mergeTable.ts'
import { UnsupportedRegexError } from './onigRegex.ts'
import type { TextModel } from './textModel.ts'
import { PipelineTokenizer, type Tokenizer } from './tokenizer.ts'
import type { TokenizerConfig } from './tokenizerConfig.ts'
import { readDecoder, type TokenDecoder } from './tokenizerJsonDecoder.ts'
import {
  findStep,
  readNormalizer,
  readPostProcessor,
  readPreTokenizer,
} from './tokenizerJsonSteps.ts'
import { TokenPiecesBuilder, tokenFlag } from './tokenPieces.ts'
import { TokenTable } from './tokenTable.ts'
import { UnigramModel } from './unigramModel.ts'

/** Largest id accepted: tables are sized by it, and the largest vocabularies have a million tokens. */
const maxTokenId = 2 ** 22

/**
 * Builds a tokenizer from the text of a tokenizer.json (BPE or Unigram).
 * @param path names the file in errors
 * @throws FileFormatError for anything broken or not supported
 * Source: Hugging Face tokenizers, serialization of `Tokenizer`.
 */
export function tokenizerFromJson(path: string, text: string, config: TokenizerConfig): Tokenizer {
  const { reader, value } = Reader.parse(path, text)
  try {
    return build(reader, reader.record(value, 'the file'), config)
  } catch (error) {
    if (error instanceof UnsupportedRegexError) {
      throw reader.error(error.message, { cause: error })
    }
    throw error
  }
}

function build(reader: JsonReader, root: JsonRecord, config: TokenizerConfig): Tokenizer {
  const model = reader.record(root.model, 'model')
  const type = model.type ?? (model.merges === undefined ? 'missing' : 'BPE')
  if (type !== 'BPE' && type !== 'Unigram') {
    throw reader.error(`tokenizer model "${type}" is not supported, only BPE and Unigram`)
  }
  const vocab = type === 'BPE' ? readBpeVocab(reader, model) : readUnigramVocab(reader, model)
  const addedTokens = readAddedTokens(reader, root.added_tokens)
  const isByteLevel =
    findStep(root.pre_tokenizer, 'ByteLevel') || findStep(root.decoder, 'ByteLevel')

  const preTokenizer = readPreTokenizer(reader, root.pre_tokenizer)
  const textModel =
    type === 'BPE'
      ? bpeModel(reader, model, vocab, isByteLevel, preTokenizer?.givesByteChars ?? false)
      : unigramModel(reader, model, vocab)
  const decoder = readDecoder(reader, root.decoder, isByteLevel)
  const allIds = new Map(vocab.ids)
  for (const token of addedTokens) allIds.set(token.content, token.id)
  const post = readPostProcessor(reader, root.post_processor)
  const pieces = buildPieces(vocab, addedTokens, decoder)
  const numTokens = pieces.flags.length
  for (const id of [...post.prefixIds, ...post.suffixIds]) {
    if (id >= numTokens) throw reader.error(`post_processor names id ${id}, beyond the vocabulary`)
  }
  const bosId = config.bosToken === undefined ? undefined : allIds.get(config.bosToken)
  const eosId = config.eosToken === undefined ? undefined : allIds.get(config.eosToken)
  return new PipelineTokenizer({
    pieces,
    addedTokens,
    normalizer: readNormalizer(reader, root.normalizer),
    preTokenizer: preTokenizer?.split,
    model: textModel,
    ...post,
    bosId,
    eosId,
    endIds: eosId === undefined ? [] : [eosId],
    modelTokenId: content => vocab.ids.get(content),
  })
}

interface Vocab {
  ids: Map<string, number>
  /** Highest id + 1. */
  size: number
  /** Of Unigram. */
  scores?: Float64Array
}

function checkId(reader: JsonReader, id: unknown, token: string): number {
  if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id > maxTokenId) {
    throw reader.error(`token ${JSON.stringify(token)} has impossible id ${String(id)}`)
  }
  return id
}

function readBpeVocab(reader: JsonReader, model: JsonRecord): Vocab {
  const ids = new Map<string, number>()
  let size = 0
  const vocab = reader.record(model.vocab, 'model.vocab')
  for (const token of Object.keys(vocab)) {
    const id = checkId(reader, vocab[token], token)
    ids.set(token, id)
    if (id >= size) size = id + 1
  }
  if (ids.size === 0) throw reader.error('model.vocab is empty')
  return { ids, size }
}

function readUnigramVocab(reader: JsonReader, model: JsonRecord): Vocab {
  const entries = reader.array(model.vocab, 'model.vocab')
  if (entries.length === 0) throw reader.error('model.vocab is empty')
  const ids = new Map<string, number>()
  const scores = new Float64Array(entries.length)
  for (const [id, entry] of entries.entries()) {
    const [token, score] = reader.array(entry, `model.vocab[${id}]`)
    ids.set(reader.string(token, `model.vocab[${id}][0]`), id)
    if (typeof score !== 'number') throw reader.error(`model.vocab[${id}][1] is not a number`)
    scores[id] = score
  }
  return { ids, size: entries.length, scores }
}

function readAddedTokens(reader: JsonReader, value: unknown): AddedToken[] {
  if (value === undefined || value === null) return []
  return reader.array(value, 'added_tokens').map((entry, i) => {
    const what = `added_tokens[${i}]`
    const token = reader.record(entry, what)
    const content = reader.string(token.content, `${what}.content`)
    return {
      id: checkId(reader, token.id, content),
      content,
      singleWord: reader.boolean(token.single_word, `${what}.single_word`, false),
      lstrip: reader.boolean(token.lstrip, `${what}.lstrip`, false),
      rstrip: reader.boolean(token.rstrip, `${what}.rstrip`, false),
      normalized: reader.boolean(token.normalized, `${what}.normalized`, false),
      special: reader.boolean(token.special, `${what}.special`, false),
    }
  })
}

function buildPieces(vocab: Vocab, addedTokens: AddedToken[], decoder: TokenDecoder) {
  let size = vocab.size
  for (const { id } of addedTokens) if (id >= size) size = id + 1
  const texts: (string | undefined)[] = new Array(size)
  const flags = new Uint8Array(size)
  for (const [token, id] of vocab.ids) texts[id] = token
  for (const { id, content, special } of addedTokens) {
    texts[id] = content
    flags[id] = tokenFlag.added | (special ? tokenFlag.special : 0)
  }
  const builder = new TokenPiecesBuilder(size)
  for (let id = 0; id < size; id++) {
    const text = texts[id]
    if (text === undefined) {
      builder.addText('', tokenFlag.missing)
      continue
    }
    const piece = decoder.piece(text)
    if (typeof piece === 'string') builder.addText(piece, flags[id] ?? 0)
    else if (typeof piece === 'number') {
      builder.addByte(piece, (flags[id] ?? 0) | tokenFlag.byteFallback)
    } else builder.addBytes(piece, flags[id] ?? 0)
  }
  return builder.build(decoder.leadingSpace)
}

/** The model's own table: raw bytes of byte-level tokens, else the UTF-8 of the token's text. */
function tokenTable(vocab: Vocab, isByteLevel: boolean): TokenTable {
  const texts: (string | undefined)[] = new Array(vocab.size)
  for (const [token, id] of vocab.ids) texts[id] = token
  const builder = new TokenPiecesBuilder(vocab.size)
  for (const text of texts) {
    if (text === undefined) builder.addText('', 0)
    else if (!isByteLevel) builder.addText(text, 1)
    else {
      // A token outside the byte alphabet can never come out of byte-level text.
      const bytes = byteLevelBytes(text)
      builder.addBytes(bytes ?? new Uint8Array(0), bytes ? 1 : 0)
    }
  }
  const { bytes, offsets, flags } = builder.build('keep')
  return new TokenTable(bytes, offsets, id => flags[id] === 1)
}

function bpeModel(
  reader: JsonReader,
  model: JsonRecord,
  vocab: Vocab,
  isByteLevel: boolean,
  givesByteChars: boolean,
): TextModel {
  for (const field of ['continuing_subword_prefix', 'end_of_word_suffix']) {
    if (model[field]) throw reader.error(`model.${field} is not supported`)
  }
  const table = tokenTable(vocab, isByteLevel)
  const unkId = unknownId(reader, model, vocab)
  const hasByteFallback = reader.boolean(model.byte_fallback, 'model.byte_fallback', false)
  return new BpeModel({
    alphabet: isByteLevel
      ? { kind: 'bytes', idOfByte: byteLevelIds(vocab), mapped: givesByteChars }
      : {
          kind: 'characters',
          idOfChar: characterIds(vocab),
          idOfByte: hasByteFallback ? fallbackIds(vocab) : undefined,
        },
    merges: readMerges(reader, model, vocab, table, isByteLevel),
    unkId,
    fuseUnk: reader.boolean(model.fuse_unk, 'model.fuse_unk', false),
    ...(model.ignore_merges === true && { wholeWords: { table, ignores: () => true } }),
  })
}

function unknownId(reader: JsonReader, model: JsonRecord, vocab: Vocab): number | undefined {
  if (model.unk_token === undefined || model.unk_token === null) return undefined
  const token = reader.string(model.unk_token, 'model.unk_token')
  const id = vocab.ids.get(token)
  if (id === undefined) throw reader.error(`model.unk_token "${token}" is not in the vocabulary`)
  return id
}

function readMerges(
  reader: JsonReader,
  model: JsonRecord,
  vocab: Vocab,
  table: TokenTable,
  isByteLevel: boolean,
): MergeTable {
  const entries = reader.array(model.merges, 'model.merges')
  const merges = new MergeTable(entries.length)
  for (let i = 0; i < entries.length; i++) {
    const [left, right] = mergePair(reader, entries[i], i)
    const leftId = vocab.ids.get(left)
    const rightId = vocab.ids.get(right)
    if (leftId === undefined || rightId === undefined) {
      const unknown = leftId === undefined ? left : right
      throw reader.error(`model.merges[${i}] names unknown token ${JSON.stringify(unknown)}`)
    }
    let result = table.findConcat(leftId, rightId)
    // Tokens outside the byte alphabet are not in the table.
    if (result < 0 && isByteLevel) result = vocab.ids.get(left + right) ?? -1
    if (result < 0) {
      throw reader.error(`model.merges[${i}] makes unknown token ${JSON.stringify(left + right)}`)
    }
    merges.add(leftId, rightId, result)
  }
  return merges
}

function mergePair(reader: JsonReader, entry: unknown, i: number): [string, string] {
  if (typeof entry === 'string') {
    const space = entry.indexOf(' ')
    if (space > 0 && space < entry.length - 1)
      return [entry.slice(0, space), entry.slice(space + 1)]
  } else if (Array.isArray(entry) && entry.length === 2) {
    const [left, right] = entry
    if (typeof left === 'string' && typeof right === 'string') return [left, right]
  }
  throw reader.error(`model.merges[${i}] is not a pair of tokens`)
}

function byteLevelIds(vocab: Vocab): Int32Array {
  return Int32Array.from(byteLevelChars, char => vocab.ids.get(char) ?? -1)
}

function fallbackIds(vocab: Vocab): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) => {
    const hex = byte.toString(16).toUpperCase().padStart(2, '0')
    return vocab.ids.get(`<0x${hex}>`) ?? -1
  })
}

/** Look-up of tokens that are one character. */
function characterIds(vocab: Vocab): (codePoint: number) => number {
  const basic = new Int32Array(0x10000).fill(-1)
  const others = new Map<number, number>()
  for (const [token, id] of vocab.ids) {
    if (token.length > 2 || token.length === 0) continue
    const codePoint = token.codePointAt(0) ?? 0
    if (token.length !== (codePoint > 0xffff ? 2 : 1)) continue
    if (codePoint > 0xffff) others.set(codePoint, id)
    else basic[codePoint] = id
  }
  return codePoint =>
    codePoint > 0xffff ? (others.get(codePoint) ?? -1) : (basic[codePoint] ?? -1)
}

function unigramModel(reader: JsonReader, model: JsonRecord, vocab: Vocab): TextModel {
  const unkId = model.unk_id
  if (typeof unkId !== 'number' || !Number.isInteger(unkId) || unkId < 0 || unkId >= vocab.size) {
    throw reader.error(`model.unk_id ${String(unkId)} is not a token`)
  }
  return new UnigramModel({
    table: tokenTable(vocab, false),
    scores: vocab.scores ?? new Float64Array(0),
    unkId,
    idOfByte: model.byte_fallback === true ? fallbackIds(vocab) : undefined,
  })
}
