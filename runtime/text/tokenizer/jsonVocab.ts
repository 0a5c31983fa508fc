import type { JsonReader, JsonRecord } from './jsonReader.ts'
import type { ScannedTokenizer } from './tokenizerJsonScanner.ts'
import { TokenPiecesBuilder } from './tokenPieces.ts'
import { TokenTable } from './tokenTable.ts'

/** Largest id accepted: tables are sized by it, and the largest vocabularies have a million tokens. */
const maxTokenId = 2 ** 22

/** A token id of a file. @throws FileFormatError when it is not one */
export function checkTokenId(reader: JsonReader, id: unknown, token: string): number {
  if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id > maxTokenId) {
    throw reader.error(`token ${JSON.stringify(token)} has impossible id ${String(id)}`)
  }
  return id
}

/** The `vocab` of a tokenizer.json's model: token texts as the file writes them, by id. */
export class JsonVocab {
  /** Highest id + 1. */
  readonly size: number
  readonly table: TokenTable
  /** Log-probabilities, of Unigram. */
  readonly scores: Float64Array | undefined
  readonly #bytes: Uint8Array
  readonly #offsets: Uint32Array
  /** [size], 1 where there is a token. */
  readonly #present: Uint8Array
  readonly #encoder = new TextEncoder()

  private constructor(
    size: number,
    entry: (id: number) => Uint8Array | undefined,
    scores?: Float64Array,
  ) {
    const builder = new TokenPiecesBuilder(size)
    const none = new Uint8Array(0)
    for (let id = 0; id < size; id++) {
      const bytes = entry(id)
      builder.addBytes(bytes ?? none, bytes === undefined ? 0 : 1)
    }
    const { bytes, offsets, flags } = builder.build('keep')
    this.size = size
    this.scores = scores
    this.#bytes = bytes
    this.#offsets = offsets
    this.#present = flags
    this.table = new TokenTable(bytes, offsets, id => flags[id] === 1)
  }

  /** The scanned table of a BPE model. */
  static fromScan(reader: JsonReader, scanned: NonNullable<ScannedTokenizer['vocab']>): JsonVocab {
    const { texts, ids } = scanned
    if (ids.length === 0) throw reader.error('model.vocab is empty')
    const bytesOf = (i: number) => texts.bytes.subarray(texts.offsets[i] ?? 0, texts.offsets[i + 1])
    let size = 0
    for (const [i, id] of ids.entries()) {
      const isId = Number.isInteger(id) && id >= 0 && id <= maxTokenId
      if (!isId) checkTokenId(reader, id, new TextDecoder().decode(bytesOf(i)))
      if (id >= size) size = id + 1
    }
    const entries = new Int32Array(size).fill(-1)
    for (const [i, id] of ids.entries()) entries[id] = i
    return new JsonVocab(size, id => {
      const i = entries[id] ?? -1
      return i < 0 ? undefined : bytesOf(i)
    })
  }

  /** Unigram's list of [token, score]. */
  static fromUnigram(reader: JsonReader, model: JsonRecord): JsonVocab {
    const entries = reader.array(model.vocab, 'model.vocab')
    if (entries.length === 0) throw reader.error('model.vocab is empty')
    const encoder = new TextEncoder()
    const scores = new Float64Array(entries.length)
    const texts = entries.map((entry, id) => {
      const [token, score] = reader.array(entry, `model.vocab[${id}]`)
      if (typeof score !== 'number') throw reader.error(`model.vocab[${id}][1] is not a number`)
      scores[id] = score
      return encoder.encode(reader.string(token, `model.vocab[${id}][0]`))
    })
    return new JsonVocab(entries.length, id => texts[id], scores)
  }

  /** UTF-8 of a token's text, a view; undefined for a hole. */
  bytes(id: number): Uint8Array | undefined {
    return this.#present[id] === 1
      ? this.#bytes.subarray(this.#offsets[id] ?? 0, this.#offsets[id + 1])
      : undefined
  }

  find(text: string): number | undefined {
    const bytes = this.#encoder.encode(text)
    const id = this.table.find(bytes, 0, bytes.length)
    return id < 0 ? undefined : id
  }
}
