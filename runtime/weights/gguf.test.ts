import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { GgufBuilder } from '../../test/support/ggufBuilder.ts'
import { FileFormatError } from './fileFormatError.ts'
import { readGguf } from './gguf.ts'
import { GgufStrings } from './ggufStrings.ts'

let dir: string
let numFiles = 0

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gguf-'))
})
afterAll(() => rm(dir, { recursive: true }))

async function written(bytes: Uint8Array): Promise<string> {
  const path = join(dir, `${numFiles++}.gguf`)
  await writeFile(path, bytes)
  return path
}

function sound(): GgufBuilder {
  return new GgufBuilder()
    .string('general.name', 'tiny')
    .uint32('general.alignment', 64)
    .strings('tokenizer.ggml.tokens', ['a', 'naïve', '', '🙂'])
    .floats('tokenizer.ggml.scores', [1, -2.5])
    .bool('flag', true)
    .uint64('large', 2n ** 60n)
    .tensor({ name: 'a', type: 12, shape: [256, 3] })
    .tensor({ name: 'b', type: 0, shape: [5] })
}

describe('readGguf', () => {
  test.each([2, 3])('reads metadata and tensors of version %i', async version => {
    const path = await written(sound().build({ version }))
    const file = await readGguf(path)
    expect(file).toMatchObject({ path, version, alignment: 64 })
    expect(file.metadata.get('general.name')).toBe('tiny')
    expect(file.metadata.get('flag')).toBe(true)
    expect(file.metadata.get('large')).toBe(2n ** 60n)
    expect(file.metadata.get('tokenizer.ggml.scores')).toEqual(new Float32Array([1, -2.5]))
    const tokens = file.metadata.get('tokenizer.ggml.tokens')
    expect(tokens).toBeInstanceOf(GgufStrings)
    expect([...(tokens as GgufStrings)]).toEqual(['a', 'naïve', '', '🙂'])
    const [a, b] = file.tensors
    expect(a).toMatchObject({ name: 'a', type: 'Q4_K', shape: [256, 3], rows: 3, cols: 256 })
    expect(a?.bytes).toBe(3 * 144)
    expect(b).toMatchObject({ name: 'b', type: 'F32', rows: 1, cols: 5, bytes: 20 })
    expect((a?.offset ?? 1) % 64).toBe(0)
    expect(b?.offset).toBe((a?.offset ?? 0) + 448)
  })

  test('reads a file without tensors', async () => {
    const file = await readGguf(await written(new GgufBuilder().string('a', 'b').build()))
    expect(file.tensors).toEqual([])
  })

  const huge = 2n ** 63n
  const cases: [string, () => Uint8Array, RegExp][] = [
    ['an empty file', () => new Uint8Array(0), /ends at byte 0 inside the magic/],
    ['another format', () => new TextEncoder().encode('{"model": "no gguf at all"}'), /magic/],
    ['version 1', () => sound().build({ version: 1 }), /version 1 is not supported/],
    ['a big-endian file', () => sound().build({ version: 3 << 24 }), /big-endian/],
    ['a huge tensor count', () => sound().build({ numTensors: huge }), /claims .* tensors/],
    ['a huge pair count', () => sound().build({ numPairs: 2n ** 40n }), /claims .* metadata pairs/],
    ['a huge array', () => sound().arrayHeader('x', 4, huge).build(), /claims .* entries/],
    [
      'a huge string array',
      () =>
        sound()
          .arrayHeader('x', 8, 2n ** 30n)
          .build(),
      /claims/,
    ],
    ['deep nesting', () => sound().nestedArrays('x', 40).build(), /nests arrays too deeply/],
    ['an unknown value type', () => sound().arrayHeader('x', 99, 1n).build(), /value type 99/],
    ['a duplicate key', () => sound().bool('flag', false).build(), /duplicate metadata key "flag"/],
    ['a bad alignment', () => new GgufBuilder().uint32('general.alignment', 48).build(), /48/],
    ['a bool of 7', () => sound().rawBool('y', 7).build(), /bool of value 7/],
    [
      'a duplicate tensor',
      () =>
        sound()
          .tensor({ name: 'b', type: 0, shape: [5] })
          .build(),
      /duplicate tensor "b"/,
    ],
    [
      'an unknown tensor type',
      () =>
        sound()
          .tensor({ name: 'c', type: 77, shape: [1] })
          .build(),
      /"c" has unknown type id 77/,
    ],
    [
      'an unsupported tensor type',
      () =>
        sound()
          .tensor({ name: 'c', type: 39, shape: [32] })
          .build(),
      /type MXFP4, which is not supported/,
    ],
    [
      'an empty dimension',
      () =>
        sound()
          .tensor({ name: 'c', type: 0, shape: [0] })
          .build(),
      /empty dimension/,
    ],
    [
      'an impossible shape',
      () =>
        sound()
          .tensor({ name: 'c', type: 0, shape: [2 ** 40, 2 ** 40] })
          .build(),
      /impossible shape/,
    ],
    [
      'rows that are no whole blocks',
      () =>
        sound()
          .tensor({ name: 'c', type: 12, shape: [100] })
          .build(),
      /not a multiple of Q4_K's 256/,
    ],
    [
      'five dimensions',
      () =>
        sound()
          .tensor({ name: 'c', type: 0, shape: [1, 1, 1, 1, 1] })
          .build(),
      /5 dimensions/,
    ],
    [
      'an offset beyond the file',
      () =>
        sound()
          .tensor({ name: 'c', type: 0, shape: [4], offset: 2n ** 50n })
          .build(),
      /beyond the end|truncated/,
    ],
    [
      'a negative offset',
      () =>
        sound()
          .tensor({ name: 'c', type: 0, shape: [4], offset: 2n ** 64n - 64n })
          .build(),
      /beyond the end/,
    ],
    [
      'a crooked offset',
      () =>
        sound()
          .tensor({ name: 'c', type: 0, shape: [4], offset: 8n })
          .build(),
      /not a multiple of the alignment/,
    ],
    [
      'overlapping tensors',
      () =>
        sound()
          .tensor({ name: 'c', type: 0, shape: [4], offset: 64n })
          .build(),
      /overlap/,
    ],
    ['missing tensor data', () => sound().build().subarray(0, -50), /truncated/],
  ]
  test.each(cases)('rejects %s', async (_, build, reason) => {
    const path = await written(build())
    const error = await readGguf(path).catch(e => e)
    expect(error).toBeInstanceOf(FileFormatError)
    expect(error.path).toBe(path)
    expect(error.message).toContain(path)
    expect(error.reason).toMatch(reason)
  })
})

/** xorshift32: the same mutations every time. */
function random(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

describe('fuzz', () => {
  test('any truncation and any mutation parses or is a FileFormatError, quickly', async () => {
    const fixture = join(import.meta.dirname, '../../test/goldens/gguf-q4_k_s/model.gguf')
    const original = await readFile(fixture).catch(() => Buffer.from(sound().build()))
    // The data after the header cannot matter; a short tail keeps the files small.
    const header = original.subarray(0, Math.min(original.length, 32_768))
    const next = random(20_260_304)
    const path = join(dir, 'fuzz.gguf')
    for (let round = 0; round < 400; round++) {
      const bytes = Buffer.from(header)
      const kind = next(3)
      if (kind === 0) {
        await writeFile(path, bytes.subarray(0, next(bytes.length)))
      } else {
        for (let i = 0; i <= next(4); i++) {
          const at = kind === 1 ? next(bytes.length - 8) : next(64)
          if (next(2) === 0) bytes[at] = next(256)
          else
            bytes.writeBigUInt64LE(
              BigInt.asUintN(64, BigInt(next(2 ** 31)) << BigInt(next(40))),
              at,
            )
        }
        await writeFile(path, bytes)
      }
      const start = performance.now()
      const error = await readGguf(path).then(
        () => undefined,
        e => e,
      )
      expect(performance.now() - start).toBeLessThan(1000)
      if (error !== undefined) expect(error).toBeInstanceOf(FileFormatError)
    }
  })
})
