import { byteLevelBytes } from './byteLevel.ts'
import type { JsonReader } from './jsonReader.ts'
import type { TokenPieces } from './tokenPieces.ts'

/** A decoder of tokenizer.json, reduced to what each token adds to a text. */
export interface TokenDecoder {
  /** Text, raw bytes, or one byte of a byte-fallback token. */
  piece(token: Uint8Array): string | Uint8Array | number
  leadingSpace: TokenPieces['leadingSpace']
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })
const byteToken = /^<0x([0-9A-Fa-f]{2})>$/

/**
 * Reads the `decoder` of a tokenizer.json. Only decoders that work token by token are supported, since text is streamed;
 * those are all that language models use.
 * @throws FileFormatError that names an unsupported decoder
 */
export function readDecoder(
  reader: JsonReader,
  value: unknown,
  isByteLevel: boolean,
): TokenDecoder {
  const steps = flatten(reader, value)
  const rewrites: ((text: string) => string)[] = []
  /** First bytes of what a rewrite looks for: a token without any stays as it is. */
  const triggers = new Set<number>()
  const triggeredBy = (pattern: string) => triggers.add(Buffer.from(pattern)[0] ?? 0)
  let hasByteFallback = false
  let isFused = false
  let leadingSpace: TokenPieces['leadingSpace'] = 'keep'
  for (const step of steps) {
    const type = reader.string(step.type, 'decoder.type')
    switch (type) {
      case 'ByteLevel':
        break
      case 'ByteFallback':
        hasByteFallback = true
        triggeredBy('<')
        break
      case 'Fuse':
        isFused = true
        break
      case 'Replace': {
        const pattern = reader.record(step.pattern, 'decoder.pattern')
        const from = reader.string(pattern.String, 'decoder.pattern.String')
        const to = reader.string(step.content, 'decoder.content')
        if (from === '' || isFused) throw reader.error('this decoder Replace is not supported')
        triggeredBy(from)
        rewrites.push(text => text.replaceAll(from, () => to))
        break
      }
      case 'Strip':
        if (step.content !== ' ' || step.start !== 1 || step.stop !== 0 || !isFused) {
          throw reader.error('decoder Strip is supported only for one leading space')
        }
        leadingSpace = 'dropOne'
        break
      case 'Metaspace': {
        const mark = reader.string(step.replacement ?? '▁', 'decoder.replacement')
        triggeredBy(mark)
        rewrites.push(text => text.replaceAll(mark, ' '))
        const prepends =
          step.prepend_scheme === undefined
            ? step.add_prefix_space !== false
            : step.prepend_scheme !== 'never'
        if (prepends) leadingSpace = 'dropInFirstToken'
        break
      }
      default:
        throw reader.error(`decoder "${type}" is not supported`)
    }
  }
  return {
    leadingSpace,
    piece(token) {
      if (isByteLevel) return byteLevelBytes(token) ?? token
      if (!token.some(byte => triggers.has(byte))) return token
      const text = utf8.decode(token)
      if (hasByteFallback) {
        const byte = byteToken.exec(text)
        if (byte) return Number.parseInt(byte[1] ?? '', 16)
      }
      return rewrites.reduce((value, rewrite) => rewrite(value), text)
    },
  }
}

function flatten(reader: JsonReader, value: unknown): { [key: string]: unknown }[] {
  if (value === undefined || value === null) return []
  const step = reader.record(value, 'decoder')
  if (step.type !== 'Sequence') return [step]
  return reader.array(step.decoders, 'decoder.decoders').flatMap(inner => flatten(reader, inner))
}
