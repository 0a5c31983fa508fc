import { UnsupportedRegexError } from '../regex/unsupportedRegexError.ts'
import type { AddedToken } from './addedTokens.ts'
import { BpeModel } from './bpeModel.ts'
import { byteLevelBytes, byteLevelChars } from './byteLevel.ts'
import { JsonReader, type JsonRecord } from './jsonReader.ts'
import { checkTokenId, JsonVocab } from './jsonVocab.ts'
import { MergeTable } from './mergeTable.ts'
import type { TextModel } from './textModel.ts'
import { PipelineTokenizer, type Tokenizer } from './tokenizer.ts'
import type { TokenizerConfig } from './tokenizerConfig.ts'
import { readDecoder, type TokenDecoder } from './tokenizerJsonDecoder.ts'
import { type ScannedTokenizer, scanTokenizerJson, type TextList } from './tokenizerJsonScanner.ts'
import {
  findStep,
  readNormalizer,
  readPostProcessor,
  readPreTokenizer,
} from './tokenizerJsonSteps.ts'
import { TokenPiecesBuilder, tokenFlag } from './tokenPieces.ts'
import { characterLookup, TokenTable } from './tokenTable.ts'
import { UnigramModel } from './unigramModel.ts'

/**
 * Builds a tokenizer from a tokenizer.json (BPE or Unigram).
 * @param path names the file in errors
 * @throws FileFormatError for anything broken or not supported
 * Source: Hugging Face tokenizers, serialization of `Tokenizer`.
 */
export function tokenizerFromJson(
  path: string,
  bytes: Uint8Array,
  config: TokenizerConfig,
): Tokenizer {
  const reader = new JsonReader(path)
  try {
    return build(reader, scanTokenizerJson(reader, bytes), config)
  } catch (error) {
    if (error instanceof UnsupportedRegexError) {
      throw reader.error(error.message, { cause: error })
    }
    throw error
  }
}

function build(reader: JsonReader, scanned: ScannedTokenizer, config: TokenizerConfig): Tokenizer {
  const root = reader.record(scanned.root, 'the file')
  const model = reader.record(root.model, 'model')
  const type = model.type ?? (model.merges === undefined ? 'missing' : 'BPE')
  if (type !== 'BPE' && type !== 'Unigram') {
    throw reader.error(`tokenizer model "${type}" is not supported, only BPE and Unigram`)
  }
  const addedTokens = readAddedTokens(reader, root.added_tokens)
  const isByteLevel =
    findStep(root.pre_tokenizer, 'ByteLevel') || findStep(root.decoder, 'ByteLevel')
  const preTokenizer = readPreTokenizer(reader, root.pre_tokenizer)
  const givesByteChars = preTokenizer?.givesByteChars ?? false
  const vocab = readVocab(reader, model, type, scanned)
  const textModel =
    type === 'BPE'
      ? bpeModel(reader, model, vocab, scanned.merges, { isByteLevel, givesByteChars })
      : unigramModel(reader, model, vocab)
  const post = readPostProcessor(reader, root.post_processor)
  const pieces = buildPieces(vocab, addedTokens, readDecoder(reader, root.decoder, isByteLevel))
  const numTokens = pieces.flags.length
  for (const id of [...post.prefixIds, ...post.suffixIds]) {
    if (id >= numTokens) throw reader.error(`post_processor names id ${id}, beyond the vocabulary`)
  }
  const idOf = (token: string | undefined) =>
    token === undefined
      ? undefined
      : (addedTokens.find(added => added.content === token)?.id ?? vocab.find(token))
  const eosId = idOf(config.eosToken)
  return new PipelineTokenizer({
    pieces,
    addedTokens,
    normalizer: readNormalizer(reader, root.normalizer),
    preTokenizer: preTokenizer?.split,
    model: textModel,
    ...post,
    bosId: idOf(config.bosToken),
    eosId,
    endIds: eosId === undefined ? [] : [eosId],
    modelTokenId: content => vocab.find(content),
  })
}

function readVocab(
  reader: JsonReader,
  model: JsonRecord,
  type: 'BPE' | 'Unigram',
  scanned: ScannedTokenizer,
): JsonVocab {
  if (type === 'Unigram') return JsonVocab.fromUnigram(reader, model)
  if (scanned.vocab === undefined) throw reader.error('model.vocab is not an object')
  return JsonVocab.fromScan(reader, scanned.vocab)
}

function readAddedTokens(reader: JsonReader, value: unknown): AddedToken[] {
  if (value === undefined || value === null) return []
  return reader.array(value, 'added_tokens').map((entry, i) => {
    const what = `added_tokens[${i}]`
    const token = reader.record(entry, what)
    const content = reader.string(token.content, `${what}.content`)
    return {
      id: checkTokenId(reader, token.id, content),
      content,
      singleWord: reader.boolean(token.single_word, `${what}.single_word`, false),
      lstrip: reader.boolean(token.lstrip, `${what}.lstrip`, false),
      rstrip: reader.boolean(token.rstrip, `${what}.rstrip`, false),
      normalized: reader.boolean(token.normalized, `${what}.normalized`, false),
      special: reader.boolean(token.special, `${what}.special`, false),
    }
  })
}

function buildPieces(vocab: JsonVocab, addedTokens: AddedToken[], decoder: TokenDecoder) {
  let size = vocab.size
  for (const { id } of addedTokens) if (id >= size) size = id + 1
  const added = new Map(addedTokens.map(token => [token.id, token]))
  const encoder = new TextEncoder()
  const builder = new TokenPiecesBuilder(size)
  for (let id = 0; id < size; id++) {
    const token = added.get(id)
    const bytes = token ? encoder.encode(token.content) : vocab.bytes(id)
    const flags = token ? tokenFlag.added | (token.special ? tokenFlag.special : 0) : 0
    const piece = bytes && decoder.piece(bytes)
    if (piece === undefined) builder.addText('', tokenFlag.missing)
    else if (typeof piece === 'string') builder.addText(piece, flags)
    else if (typeof piece === 'number') builder.addByte(piece, flags | tokenFlag.byteFallback)
    else builder.addBytes(piece, flags)
  }
  return builder.build(decoder.leadingSpace)
}

function bpeModel(
  reader: JsonReader,
  model: JsonRecord,
  vocab: JsonVocab,
  merges: TextList | undefined,
  { isByteLevel, givesByteChars }: { isByteLevel: boolean; givesByteChars: boolean },
): TextModel {
  for (const field of ['continuing_subword_prefix', 'end_of_word_suffix']) {
    if (model[field]) throw reader.error(`model.${field} is not supported`)
  }
  const hasByteFallback = reader.boolean(model.byte_fallback, 'model.byte_fallback', false)
  const ignoresMerges = reader.boolean(model.ignore_merges, 'model.ignore_merges', false)
  return new BpeModel({
    alphabet: isByteLevel
      ? { kind: 'bytes', idOfByte: byteLevelIds(vocab), mapped: givesByteChars }
      : {
          kind: 'characters',
          idOfChar: characterLookup(vocab.table),
          idOfByte: hasByteFallback ? fallbackIds(vocab) : undefined,
        },
    merges: readMerges(reader, vocab, merges),
    unkId: unknownId(reader, model, vocab),
    fuseUnk: reader.boolean(model.fuse_unk, 'model.fuse_unk', false),
    ...(ignoresMerges && {
      wholeWords: { table: isByteLevel ? rawByteTable(vocab) : vocab.table, ignores: () => true },
    }),
  })
}

function unknownId(reader: JsonReader, model: JsonRecord, vocab: JsonVocab): number | undefined {
  if (model.unk_token === undefined || model.unk_token === null) return undefined
  const token = reader.string(model.unk_token, 'model.unk_token')
  const id = vocab.find(token)
  if (id === undefined) throw reader.error(`model.unk_token "${token}" is not in the vocabulary`)
  return id
}

function readMerges(reader: JsonReader, vocab: JsonVocab, texts: TextList | undefined): MergeTable {
  if (texts === undefined) throw reader.error('model.merges is not an array')
  const { bytes, offsets } = texts
  const { table } = vocab
  const count = (offsets.length - 1) / 2
  const merges = new MergeTable(count)
  for (let i = 0; i < count; i++) {
    const start = offsets[2 * i] ?? 0
    const middle = offsets[2 * i + 1] ?? 0
    const end = offsets[2 * i + 2] ?? 0
    const left = table.find(bytes, start, middle)
    const right = table.find(bytes, middle, end)
    const text = (from: number, to: number) =>
      JSON.stringify(new TextDecoder().decode(bytes.subarray(from, to)))
    if (left < 0)
      throw reader.error(`model.merges[${i}] names unknown token ${text(start, middle)}`)
    if (right < 0) throw reader.error(`model.merges[${i}] names unknown token ${text(middle, end)}`)
    const result = table.findConcat(left, right)
    if (result < 0) throw reader.error(`model.merges[${i}] makes unknown token ${text(start, end)}`)
    merges.add(left, right, result)
  }
  return merges
}

/** Look-up by the bytes that byte-level tokens stand for. */
function rawByteTable(vocab: JsonVocab): TokenTable {
  const builder = new TokenPiecesBuilder(vocab.size)
  const none = new Uint8Array(0)
  for (let id = 0; id < vocab.size; id++) {
    // A token outside the byte alphabet can never come out of byte-level text.
    const bytes = byteLevelBytes(vocab.bytes(id) ?? none)
    builder.addBytes(bytes ?? none, 0)
  }
  const { bytes, offsets } = builder.build('keep')
  return new TokenTable(bytes, offsets, () => true)
}

function byteLevelIds(vocab: JsonVocab): Int32Array {
  return Int32Array.from(byteLevelChars, char => vocab.find(char) ?? -1)
}

function fallbackIds(vocab: JsonVocab): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) => {
    const hex = byte.toString(16).toUpperCase().padStart(2, '0')
    return vocab.find(`<0x${hex}>`) ?? -1
  })
}

function unigramModel(reader: JsonReader, model: JsonRecord, vocab: JsonVocab): TextModel {
  const unkId = model.unk_id
  if (typeof unkId !== 'number' || !Number.isInteger(unkId) || unkId < 0 || unkId >= vocab.size) {
    throw reader.error(`model.unk_id ${String(unkId)} is not a token`)
  }
  return new UnigramModel({
    table: vocab.table,
    scores: vocab.scores ?? new Float64Array(0),
    unkId,
    idOfByte: model.byte_fallback === true ? fallbackIds(vocab) : undefined,
  })
}
