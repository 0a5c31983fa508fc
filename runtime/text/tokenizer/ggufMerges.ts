import { GgufStrings } from '../../weights/ggufStrings.ts'
import { mapByteLevel } from './byteLevel.ts'
import type { GgufVocab } from './ggufVocab.ts'
import { MergeTable } from './mergeTable.ts'
import type { TokenTable } from './tokenTable.ts'

/**
 * Reads `tokenizer.ggml.merges`, "left right" each, lowest rank first, without making strings of them: half a million
 * in a large vocabulary.
 * @param isByteLevel the file writes bytes in GPT-2's characters, the table holds the bytes
 * @throws FileFormatError for a merge that names or makes a token that does not exist
 */
export function readMerges(vocab: GgufVocab, table: TokenTable, isByteLevel: boolean): MergeTable {
  const lines = vocab.file.metadata.get('tokenizer.ggml.merges')
  if (!(lines instanceof GgufStrings)) {
    throw vocab.error('tokenizer.ggml.merges is missing or not a list of strings')
  }
  const merges = new MergeTable(lines.length)
  let scratch = new Uint8Array(256)
  for (let i = 0; i < lines.length; i++) {
    const line = lines.bytes(i)
    // A token may begin with a space, so the first byte is never the separator.
    const space = line.indexOf(0x20, 1)
    if (space < 0) throw badMerge(vocab, lines, i, 'is not a pair of tokens')
    let left: number
    let right: number
    if (isByteLevel) {
      if (scratch.length < line.length) scratch = new Uint8Array(line.length)
      const leftEnd = mapByteLevel(line, 0, space, scratch, 0)
      const end = leftEnd < 0 ? -1 : mapByteLevel(line, space + 1, line.length, scratch, leftEnd)
      if (end < 0) throw badMerge(vocab, lines, i, 'has a character outside the byte alphabet')
      left = table.find(scratch, 0, leftEnd)
      right = table.find(scratch, leftEnd, end)
    } else {
      left = table.find(line, 0, space)
      right = table.find(line, space + 1, line.length)
    }
    const result = left < 0 || right < 0 ? -1 : table.findConcat(left, right)
    if (result < 0) throw badMerge(vocab, lines, i, 'names a token that is not in the vocabulary')
    merges.add(left, right, result)
  }
  return merges
}

function badMerge(vocab: GgufVocab, lines: GgufStrings, i: number, reason: string) {
  return vocab.error(`tokenizer.ggml.merges[${i}] ${JSON.stringify(lines.at(i))} ${reason}`)
}
