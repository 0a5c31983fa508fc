import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { FileFormatError } from './fileFormatError.ts'
import { readSafetensors, readShardedSafetensors } from './safetensors.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'safetensors-'))
afterAll(() => rmSync(folder, { recursive: true }))

function file(name: string, header: string | object, dataBytes: number): string {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  const target = path.join(folder, name)
  writeFileSync(target, Buffer.concat([length, text, Buffer.alloc(dataBytes)]))
  return target
}

const sound = {
  __metadata__: { format: 'pt' },
  a: { dtype: 'F32', shape: [2, 3], data_offsets: [0, 24] },
  b: { dtype: 'BF16', shape: [4], data_offsets: [24, 32] },
  scalar: { dtype: 'F16', shape: [], data_offsets: [32, 34] },
  other: { dtype: 'I64', shape: [1], data_offsets: [34, 42] },
}

describe('readSafetensors', () => {
  it('reads names, types, shapes and absolute offsets', async () => {
    const target = file('sound.safetensors', sound, 42)
    const dataStart = 8 + JSON.stringify(sound).length
    expect(await readSafetensors(target)).toEqual([
      { name: 'a', path: target, dtype: 'F32', shape: [2, 3], offset: dataStart, bytes: 24 },
      { name: 'b', path: target, dtype: 'BF16', shape: [4], offset: dataStart + 24, bytes: 8 },
      { name: 'scalar', path: target, dtype: 'F16', shape: [], offset: dataStart + 32, bytes: 2 },
      { name: 'other', path: target, dtype: 'I64', shape: [1], offset: dataStart + 34, bytes: 8 },
    ])
  })

  const entry = (fields: object) => ({ a: { ...sound.a, ...fields } })
  it.each<[string, string | object, number, RegExp]>([
    ['data cut off', sound, 41, /"other" ends at byte .* truncated/],
    ['not JSON', '{"a":', 0, /not JSON/],
    ['not an object', '[]', 0, /not a JSON object/],
    ['entry not an object', { a: 3 }, 0, /"a" is not an object/],
    ['unknown dtype', entry({ dtype: 'F99' }), 24, /unknown dtype "F99"/],
    ['negative dimension', entry({ shape: [-2, -3] }), 24, /impossible shape/],
    ['fractional dimension', entry({ shape: [1.5, 4] }), 24, /impossible shape/],
    ['shape and bytes differ', entry({ shape: [2, 4] }), 24, /has 24 bytes, F32 \[2, 4\] needs 32/],
    ['product overflows', entry({ shape: [2 ** 52, 2 ** 52] }), 24, /needs/],
    ['offsets reversed', entry({ data_offsets: [24, 0] }), 24, /has -24 bytes/],
    ['offsets beyond 2^53', entry({ data_offsets: [0, 2 ** 60] }), 24, /wrong data_offsets/],
    ['offsets not two', entry({ data_offsets: [0] }), 24, /wrong data_offsets/],
    [
      'overlap',
      { ...sound, b: { dtype: 'BF16', shape: [4], data_offsets: [20, 28] } },
      42,
      /"a" and "b" overlap/,
    ],
    [
      'the same name twice',
      `{"a":${JSON.stringify(sound.a)},"b":{"dtype":"U8","shape":[],"data_offsets":[24,25]},"a":${JSON.stringify(sound.a)}}`,
      25,
      /duplicate tensor "a"/,
    ],
  ])('rejects %s', async (name, header, dataBytes, message) => {
    const target = file(`${name}.safetensors`, header, dataBytes)
    const error = await readSafetensors(target).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(FileFormatError)
    expect((error as FileFormatError).path).toBe(target)
    expect((error as FileFormatError).reason).toMatch(message)
  })

  it.each([
    [0n, 'empty header'],
    [2n ** 63n, 'bomb'],
    [100_000_001n, 'above the limit'],
    [1000n, 'beyond the file'],
  ])('rejects a header of %s bytes (%s)', async length => {
    const target = path.join(folder, 'length.safetensors')
    const bytes = Buffer.alloc(12)
    bytes.writeBigUInt64LE(length)
    writeFileSync(target, bytes)
    await expect(readSafetensors(target)).rejects.toThrow(FileFormatError)
  })

  it('rejects a file shorter than the length field', async () => {
    const target = path.join(folder, 'short.safetensors')
    writeFileSync(target, 'abc')
    await expect(readSafetensors(target)).rejects.toThrow(/no safetensors file/)
  })

  it('survives damaged files: a table whose ranges lie in the file, or a FileFormatError', async () => {
    const original = Buffer.from(JSON.stringify(sound))
    let seed = 12345
    const random = (n: number) => {
      seed = (seed * 1103515245 + 12345) & 0x7fffffff
      return seed % n
    }
    const target = path.join(folder, 'fuzz.safetensors')
    for (let round = 0; round < 400; round++) {
      const length = Buffer.alloc(8)
      length.writeBigUInt64LE(BigInt(original.length))
      const bytes = Buffer.concat([length, original, Buffer.alloc(42)])
      for (let i = 0; i <= random(4); i++) bytes[random(bytes.length)] = random(256)
      const kept = random(5) === 0 ? bytes.subarray(0, random(bytes.length)) : bytes
      writeFileSync(target, kept)
      try {
        for (const tensor of await readSafetensors(target)) {
          expect(tensor.offset + tensor.bytes).toBeLessThanOrEqual(kept.length)
        }
      } catch (error) {
        expect(error).toBeInstanceOf(FileFormatError)
      }
    }
  })
})

describe('readShardedSafetensors', () => {
  const index = (name: string, map: unknown) => {
    const target = path.join(folder, name)
    writeFileSync(target, JSON.stringify({ metadata: {}, weight_map: map }))
    return target
  }

  it('reads tensors from the shards the index names', async () => {
    file('one.safetensors', { a: sound.a }, 24)
    file('two.safetensors', { b: { ...sound.b, data_offsets: [0, 8] } }, 8)
    const target = index('good.json', { a: 'one.safetensors', b: 'two.safetensors' })
    const tensors = await readShardedSafetensors(target)
    expect(tensors.map(tensor => [tensor.name, path.basename(tensor.path)])).toEqual([
      ['a', 'one.safetensors'],
      ['b', 'two.safetensors'],
    ])
  })

  it.each<[string, unknown, RegExp]>([
    ['a missing tensor', { a: 'one.safetensors', c: 'one.safetensors' }, /"c" is missing/],
    ['a path outside the folder', { a: '../one.safetensors' }, /not a shard/],
    ['no map', undefined, /no "weight_map"/],
    ['a number for a file', { a: 3 }, /not a shard/],
  ])('rejects %s', async (name, map, message) => {
    file('one.safetensors', { a: sound.a }, 24)
    const target = index(`${name}.json`, map)
    await expect(readShardedSafetensors(target)).rejects.toThrow(message)
  })
})
