import type { JsonReader, JsonRecord } from './jsonReader.ts'
import {
  lowercaseNormalizer,
  type Normalizer,
  prependNormalizer,
  replaceNormalizer,
  sequenceNormalizer,
  stripAccentsNormalizer,
  stripNormalizer,
  unicodeNormalizer,
} from './normalizer.ts'
import {
  byteLevelPreTokenizer,
  digitsPreTokenizer,
  metaspacePreTokenizer,
  type PreTokenizer,
  punctuationPreTokenizer,
  type SplitBehavior,
  sequencePreTokenizer,
  splitBehaviors,
  splitPreTokenizer,
  toByteCharsPreTokenizer,
  whitespacePreTokenizer,
  whitespaceSplitPreTokenizer,
} from './preTokenizer.ts'

const maxNesting = 16

/** Whether a step (normalizer, pre_tokenizer, decoder) is of a type or a sequence that has one. */
export function findStep(value: unknown, type: string, depth = 0): boolean {
  if (typeof value !== 'object' || value === null || depth > maxNesting) return false
  const step = value as JsonRecord
  if (step.type === type) return true
  return [step.pretokenizers, step.decoders, step.normalizers].some(
    inner => Array.isArray(inner) && inner.some(entry => findStep(entry, type, depth + 1)),
  )
}

/** Reads `normalizer`. @throws FileFormatError that names an unsupported one */
export function readNormalizer(
  reader: JsonReader,
  value: unknown,
  depth = 0,
): Normalizer | undefined {
  if (value === undefined || value === null) return undefined
  if (depth > maxNesting) throw reader.error('normalizer is nested too deeply')
  const step = reader.record(value, 'normalizer')
  const type = reader.string(step.type, 'normalizer.type')
  switch (type) {
    case 'Sequence':
      return sequenceNormalizer(
        reader
          .array(step.normalizers, 'normalizer.normalizers')
          .map(inner => readNormalizer(reader, inner, depth + 1))
          .filter(inner => inner !== undefined),
      )
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD':
      return unicodeNormalizer(type)
    case 'Lowercase':
      return lowercaseNormalizer()
    case 'StripAccents':
      return stripAccentsNormalizer()
    case 'Strip':
      return stripNormalizer(
        reader.boolean(step.strip_left, 'normalizer.strip_left', true),
        reader.boolean(step.strip_right, 'normalizer.strip_right', true),
      )
    case 'Prepend':
      return prependNormalizer(reader.string(step.prepend, 'normalizer.prepend'))
    case 'Replace':
      return replaceNormalizer(
        readPattern(reader, step.pattern, 'normalizer.pattern'),
        reader.string(step.content, 'normalizer.content'),
      )
    default:
      throw reader.error(`normalizer "${type}" is not supported`)
  }
}

function readPattern(
  reader: JsonReader,
  value: unknown,
  what: string,
): { String: string } | { Regex: string } {
  const pattern = reader.record(value, what)
  if (typeof pattern.String === 'string') return { String: pattern.String }
  return { Regex: reader.string(pattern.Regex, `${what}.Regex`) }
}

/**
 * Reads `pre_tokenizer`.
 * @returns `givesByteChars`: the pieces come out in GPT-2's byte characters, because steps after ByteLevel see them
 * @throws FileFormatError that names an unsupported one
 */
export function readPreTokenizer(
  reader: JsonReader,
  value: unknown,
): { split: PreTokenizer; givesByteChars: boolean } | undefined {
  if (value === undefined || value === null) return undefined
  const steps = flatten(reader, value, 0)
  const splits: PreTokenizer[] = []
  let givesByteChars = false
  for (const [i, step] of steps.entries()) {
    splits.push(readSplit(reader, step))
    if (step.type === 'ByteLevel' && i < steps.length - 1) {
      if (givesByteChars) throw reader.error('two ByteLevel pre-tokenizers')
      givesByteChars = true
      splits.push(toByteCharsPreTokenizer())
    }
  }
  return { split: sequencePreTokenizer(splits), givesByteChars }
}

function flatten(reader: JsonReader, value: unknown, depth: number): JsonRecord[] {
  if (depth > maxNesting) throw reader.error('pre_tokenizer is nested too deeply')
  const step = reader.record(value, 'pre_tokenizer')
  if (step.type !== 'Sequence') return [step]
  return reader
    .array(step.pretokenizers, 'pre_tokenizer.pretokenizers')
    .flatMap(inner => flatten(reader, inner, depth + 1))
}

function readSplit(reader: JsonReader, step: JsonRecord): PreTokenizer {
  const type = reader.string(step.type, 'pre_tokenizer.type')
  const flag = (name: string, fallback: boolean) =>
    reader.boolean(step[name], `pre_tokenizer.${name}`, fallback)
  switch (type) {
    case 'Split':
      return splitPreTokenizer(
        readPattern(reader, step.pattern, 'pre_tokenizer.pattern'),
        readBehavior(reader, step.behavior),
        flag('invert', false),
      )
    case 'ByteLevel':
      return byteLevelPreTokenizer(flag('add_prefix_space', true), flag('use_regex', true))
    case 'Metaspace':
      return readMetaspace(reader, step)
    case 'Digits':
      return digitsPreTokenizer(flag('individual_digits', false))
    case 'Punctuation':
      return punctuationPreTokenizer(readBehavior(reader, step.behavior ?? 'Isolated'))
    case 'Whitespace':
      return whitespacePreTokenizer()
    case 'WhitespaceSplit':
      return whitespaceSplitPreTokenizer()
    case 'CharDelimiterSplit':
      return splitPreTokenizer(
        { String: reader.string(step.delimiter, 'pre_tokenizer.delimiter') },
        'Removed',
      )
    default:
      throw reader.error(`pre-tokenizer "${type}" is not supported`)
  }
}

function readBehavior(reader: JsonReader, value: unknown): SplitBehavior {
  const behavior = splitBehaviors.find(known => known === value)
  if (behavior === undefined) {
    throw reader.error(`pre_tokenizer.behavior ${JSON.stringify(value)} is unknown`)
  }
  return behavior
}

function readMetaspace(reader: JsonReader, step: JsonRecord): PreTokenizer {
  const replacement = reader.string(step.replacement, 'pre_tokenizer.replacement')
  const scheme = step.prepend_scheme ?? (step.add_prefix_space === false ? 'never' : 'always')
  if (scheme !== 'always' && scheme !== 'first' && scheme !== 'never') {
    throw reader.error(`pre_tokenizer.prepend_scheme ${JSON.stringify(scheme)} is unknown`)
  }
  const split = reader.boolean(step.split, 'pre_tokenizer.split', true)
  return metaspacePreTokenizer(replacement, scheme, split)
}

/**
 * Reads `post_processor` as the ids it puts around one text.
 * @throws FileFormatError that names an unsupported one
 */
export function readPostProcessor(
  reader: JsonReader,
  value: unknown,
): { prefixIds: number[]; suffixIds: number[] } {
  const around = { prefixIds: [] as number[], suffixIds: [] as number[] }
  if (value === undefined || value === null) return around
  const step = reader.record(value, 'post_processor')
  const type = reader.string(step.type, 'post_processor.type')
  switch (type) {
    case 'ByteLevel':
      return around
    case 'Sequence':
      for (const inner of reader.array(step.processors, 'post_processor.processors')) {
        if (reader.record(inner, 'post_processor').type === 'Sequence') {
          throw reader.error('post_processor is nested')
        }
        const { prefixIds, suffixIds } = readPostProcessor(reader, inner)
        around.prefixIds.unshift(...prefixIds)
        around.suffixIds.push(...suffixIds)
      }
      return around
    case 'BertProcessing':
    case 'RobertaProcessing':
      return {
        prefixIds: [pairId(reader, step.cls, 'post_processor.cls')],
        suffixIds: [pairId(reader, step.sep, 'post_processor.sep')],
      }
    case 'TemplateProcessing':
      return readTemplate(reader, step)
    default:
      throw reader.error(`post-processor "${type}" is not supported`)
  }
}

function pairId(reader: JsonReader, value: unknown, what: string): number {
  return readId(reader, reader.array(value, what)[1], what)
}

function readId(reader: JsonReader, value: unknown, what: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0) {
    throw reader.error(`${what} has impossible id ${String(value)}`)
  }
  return value
}

function readTemplate(reader: JsonReader, step: JsonRecord) {
  const specials = reader.record(step.special_tokens, 'post_processor.special_tokens')
  const prefixIds: number[] = []
  const suffixIds: number[] = []
  let isAfterText = false
  for (const entry of reader.array(step.single, 'post_processor.single')) {
    const piece = reader.record(entry, 'post_processor.single[]')
    if (piece.Sequence !== undefined) {
      isAfterText = true
      continue
    }
    const special = reader.record(piece.SpecialToken, 'post_processor.single[].SpecialToken')
    const name = reader.string(special.id, 'post_processor.single[].SpecialToken.id')
    const token = reader.record(specials[name], `post_processor.special_tokens["${name}"]`)
    const ids = reader
      .array(token.ids, `post_processor.special_tokens["${name}"].ids`)
      .map(id => readId(reader, id, `post_processor.special_tokens["${name}"]`))
    if (isAfterText) suffixIds.push(...ids)
    else prefixIds.push(...ids)
  }
  return { prefixIds, suffixIds }
}
