import type { GgufFile } from '../../weights/gguf.ts'
import { BpeModel } from './bpeModel.ts'
import { byteLevelBytes } from './byteLevel.ts'
import { readMerges } from './ggufMerges.ts'
import { type GgufPreTokenizer, ggufPreTokenizer } from './ggufPreTokenizers.ts'
import { GgufVocab } from './ggufVocab.ts'
import {
  prependNormalizer,
  replaceNormalizer,
  sequenceNormalizer,
  unicodeNormalizer,
} from './normalizer.ts'
import { sequencePreTokenizer, splitPreTokenizer } from './preTokenizer.ts'
import { ScoredMergeModel } from './scoredMergeModel.ts'
import { PipelineTokenizer, type Tokenizer } from './tokenizer.ts'
import { characterLookup } from './tokenTable.ts'
import { UnigramModel } from './unigramModel.ts'

const spaceMark = '▁'

/**
 * Builds the tokenizer described by the metadata of a GGUF file: byte-level BPE (`gpt2`), SentencePiece merges by score
 * (`llama`), BPE over plain characters (`gemma4`), Unigram (`t5`).
 * @throws FileFormatError for broken or unsupported vocabularies, among them an unknown `tokenizer.ggml.pre`
 * Source: the GGUF specification and the behaviour of llama.cpp (`src/llama-vocab.cpp`).
 */
export function tokenizerFromGguf(file: GgufFile): Tokenizer {
  const vocab = new GgufVocab(file)
  const model = vocab.string('tokenizer.ggml.model')
  switch (model) {
    case 'gpt2':
      return bpeTokenizer(vocab, vocab.string('tokenizer.ggml.pre', 'default'))
    case 'gemma4':
      return bpeTokenizer(vocab, 'gemma4')
    case 'llama':
      return scoredMergeTokenizer(vocab)
    case 't5':
      return unigramTokenizer(vocab)
    default:
      throw vocab.error(`tokenizer model "${model}" is not supported`)
  }
}

function bpeTokenizer(vocab: GgufVocab, preName: string): Tokenizer {
  const pre = ggufPreTokenizer(preName)
  if (pre === undefined) throw vocab.error(`unknown pre-tokenizer "${preName}"`)
  if (pre.isSentencePieceLike) return plainBpeTokenizer(vocab, pre)
  const table = vocab.table(byteLevelBytes)
  const singleBytes = new Uint8Array(1)
  const idOfByte = Int32Array.from({ length: 256 }, (_, byte) => {
    singleBytes[0] = byte
    return table.find(singleBytes, 0, 1)
  })
  return new PipelineTokenizer({
    ...vocab.commonParts({ addBos: pre.addBos ?? false, addEos: false }),
    pieces: vocab.pieces('keep', token => byteLevelBytes(token) ?? token),
    normalizer: pre.composes ? unicodeNormalizer('NFC') : undefined,
    preTokenizer: splitter(pre),
    model: new BpeModel({
      alphabet: { kind: 'bytes', idOfByte, mapped: false },
      merges: readMerges(vocab, table, true),
      unkId: undefined,
      fuseUnk: false,
      ...(pre.ignoreMerges && { wholeWords: { table, ignores: () => true } }),
    }),
    modelTokenId: vocab.finder(table, byteLevelBytes),
  })
}

/** BPE over characters with `<0xNN>` tokens for those that are none (Gemma 4). */
function plainBpeTokenizer(vocab: GgufVocab, pre: GgufPreTokenizer): Tokenizer {
  const table = vocab.table(undefined)
  return new PipelineTokenizer({
    ...vocab.commonParts({
      addBos: pre.addBos ?? false,
      addEos: false,
      forceBos: pre.addBos ?? false,
    }),
    pieces: vocab.pieces('keep', unmarkSpaces),
    normalizer: replaceNormalizer({ String: ' ' }, spaceMark),
    preTokenizer: splitter(pre),
    model: new BpeModel({
      alphabet: {
        kind: 'characters',
        idOfChar: characterLookup(table),
        idOfByte: vocab.byteIds(),
      },
      merges: readMerges(vocab, table, false),
      unkId: undefined,
      fuseUnk: false,
      // Runs of newlines are tokens that the merges alone do not reach (llama.cpp pull request 21343).
      wholeWords: { table, ignores: word => word.charCodeAt(0) === 0x0a },
    }),
    modelTokenId: vocab.finder(table, undefined),
  })
}

function scoredMergeTokenizer(vocab: GgufVocab): Tokenizer {
  const addSpacePrefix = vocab.boolean('tokenizer.ggml.add_space_prefix', true)
  const table = vocab.table(undefined)
  const markSpaces = replaceNormalizer({ String: ' ' }, spaceMark)
  return new PipelineTokenizer({
    ...vocab.commonParts({ addBos: true, addEos: false, bosId: 1, eosId: 2 }),
    pieces: vocab.pieces(addSpacePrefix ? 'dropOne' : 'keep', unmarkSpaces),
    normalizer: addSpacePrefix
      ? sequenceNormalizer([prependNormalizer(' '), markSpaces])
      : markSpaces,
    preTokenizer: undefined,
    model: new ScoredMergeModel(table, vocab.scores(), vocab.byteIds(), vocab.unkId()),
    modelTokenId: vocab.finder(table, undefined),
  })
}

function unigramTokenizer(vocab: GgufVocab): Tokenizer {
  const charsmap = vocab.file.metadata.get('tokenizer.ggml.precompiled_charsmap')
  if (charsmap !== undefined) {
    throw vocab.error('tokenizer.ggml.precompiled_charsmap is not supported')
  }
  const unkId = vocab.unkId()
  if (unkId === undefined) throw vocab.error('tokenizer.ggml.unknown_token_id is missing')
  const addSpacePrefix = vocab.boolean('tokenizer.ggml.add_space_prefix', true)
  const table = vocab.table(undefined)
  const markSpaces = replaceNormalizer({ String: ' ' }, spaceMark)
  return new PipelineTokenizer({
    ...vocab.commonParts({ addBos: false, addEos: true, eosId: 1 }),
    pieces: vocab.pieces(addSpacePrefix ? 'dropOne' : 'keep', unmarkSpaces),
    normalizer: addSpacePrefix
      ? sequenceNormalizer([prependNormalizer(' '), markSpaces])
      : markSpaces,
    preTokenizer: undefined,
    model: new UnigramModel({
      table,
      scores: Float64Array.from(vocab.scores()),
      unkId,
      idOfByte: undefined,
    }),
    modelTokenId: vocab.finder(table, undefined),
  })
}

function splitter(pre: GgufPreTokenizer) {
  return sequencePreTokenizer(
    pre.patterns.map(pattern => splitPreTokenizer({ Regex: pattern, isTrusted: true }, 'Isolated')),
  )
}

/** First byte of the mark in UTF-8: without it there is nothing to replace. */
const spaceMarkLead = 0xe2
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

function unmarkSpaces(token: Uint8Array): string | Uint8Array {
  return token.includes(spaceMarkLead) ? utf8.decode(token).replaceAll(spaceMark, ' ') : token
}
