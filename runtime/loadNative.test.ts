import { afterAll, describe, expect, it } from 'vitest'
import { cycleModel, slowModel, WeightFolder } from '../test/support/nativeTestModels.ts'
import { loadNative } from './loadNative.ts'
import type { LoadSpec } from './native.ts'

const native = loadNative()
const folder = new WeightFolder()
afterAll(() => folder[Symbol.dispose]())

describe('the binding', () => {
  it('is one instance that knows its plan language and the machine', () => {
    expect(loadNative()).toBe(native)
    expect(native.planVersion).toBe(1)
    const { brand, isas } = native.cpuInfo()
    expect(brand).toMatch(/\S/)
    expect(isas.at(-1)).toBe('generic')
  })

  it('has a GPU or says what the cuda backend misses', async () => {
    const gpu = native.gpuInfo()
    if (gpu) {
      expect(gpu.isa).toMatch(/^sm_\d+$/)
      expect(gpu.freeBytes).toBeLessThanOrEqual(gpu.totalBytes)
      return
    }
    await expect(native.load(cycleModel(folder, 'cuda'))).rejects.toThrow(/^backend cuda: /)
  })

  it('loads a model, reports progress and describes it', async () => {
    const progress: [number, number][] = []
    const spec = cycleModel(folder, 'cpu')
    const model = await native.load({ ...spec, isa: 'generic' }, (...now) => progress.push(now))
    expect(model.info).toMatchObject({ backend: 'cpu', isa: 'generic', threads: 2, kvBytes: 8192 })
    expect(model.info.weightBytes).toBeGreaterThan(0)
    expect(progress.at(-1)).toEqual([1024, 1024])
    await model.dispose()
  })

  it('loads several models side by side', async () => {
    const models = await Promise.all(
      (['reference', 'cpu', 'cpu'] as const).map(b => native.load(cycleModel(folder, b))),
    )
    await Promise.all(models.map(model => model.dispose()))
  })

  it('fails with what a progress listener throws', async () => {
    const listener = () => {
      throw new RangeError('enough')
    }
    await expect(native.load(slowModel(folder), listener)).rejects.toThrow(RangeError)
  })
})

describe('a load that cannot be', () => {
  const good = cycleModel(folder, 'reference')
  const part = good.weights[0]?.parts[0]
  const withWeight = (change: object) => ({
    ...good,
    weights: [{ ...good.weights[0], ...change }, good.weights[1]],
  })
  const withPart = (change: object) => withWeight({ parts: [{ ...part, ...change }] })
  const notFinite = folder.weight('nan', 8, 16, () => Number.NaN).parts

  it.each<[string, unknown, string, RegExp]>([
    ['no spec', undefined, 'invalid_argument', /^spec is undefined: must be an object/],
    ['a string for it', 'x', 'invalid_argument', /^spec is a string/],
    ['no plan', { ...good, plan: undefined }, 'invalid_argument', /^spec.plan is undefined/],
    ['a broken plan', { ...good, plan: 'plan 1\nop fly' }, 'invalid_plan', /2/],
    ['another plan version', { ...good, plan: 'plan 7\n' }, 'invalid_plan', /7/],
    ['no weights', { ...good, weights: [] }, 'invalid_weights', /embed/],
    ['weights not in an array', { ...good, weights: {} }, 'invalid_argument', /^spec.weights/],
    ['a weight of null', { ...good, weights: [null] }, 'invalid_argument', /^spec.weights\[0\]/],
    ['a wrong shape', withWeight({ rows: 9 }), 'invalid_weights', /embed/],
    ['a missing file', withPart({ path: '/nowhere/x.bin' }), 'io', /\/nowhere\/x\.bin/],
    ['a slice behind the file', withPart({ offset: 4 }), 'invalid_weights', /embed/],
    ['a negative offset', withPart({ offset: -4 }), 'invalid_argument', /offset is -4/],
    ['an unknown type', withPart({ type: 'Q9_X' }), 'invalid_argument', /type is 'Q9_X'/],
    ['an unknown transform', withPart({ transforms: [{ kind: 'x' }] }), 'invalid_argument', /kind/],
    ['quantizing to F32', withWeight({ quantize: 'F32' }), 'invalid_weights', /F32/],
    ['a weight of NaN', withWeight({ parts: notFinite }), 'invalid_weights', /embed: row 0/],
    [
      'a weight of NaN, packed',
      { ...withWeight({ parts: notFinite }), backend: 'cpu' },
      'invalid_weights',
      /embed: row 0/,
    ],
    ['an unknown backend', { ...good, backend: 'tpu' }, 'invalid_argument', /^spec.backend/],
    ['an unknown ISA', { ...good, backend: 'cpu', isa: 'mmx' }, 'invalid_argument', /mmx/],
    ['no threads', { ...good, threads: 0 }, 'invalid_argument', /^spec.threads is 0/],
    ['half a thread', { ...good, threads: 1.5 }, 'invalid_argument', /^spec.threads is 1.5/],
    ['NaN slots', { ...good, maxSlots: Number.NaN }, 'invalid_argument', /^spec.maxSlots is nan/],
    [
      'small pages',
      { ...good, kv: { ...good.kv, pageBytes: 64 } },
      'invalid_argument',
      /pageBytes/,
    ],
    [
      'an unknown KV type',
      { ...good, kv: { ...good.kv, type: 'q4' } },
      'invalid_argument',
      /kv.type/,
    ],
    [
      'too much memory',
      { ...good, kv: { ...good.kv, numPages: 2 ** 30, pageBytes: 2 ** 32 } },
      'out_of_memory',
      /./,
    ],
  ])('%s', async (_name, spec, code, message) => {
    const load = native.load(spec as LoadSpec)
    await expect(load).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
    await expect(load).rejects.toBeInstanceOf(Error)
  })

  it('a property that throws', async () => {
    const spec = {
      get plan(): string {
        throw new Error('boo')
      },
    }
    await expect(native.load(spec as LoadSpec)).rejects.toMatchObject({ code: 'invalid_argument' })
  })

  it('a listener that is no function', async () => {
    await expect(native.load(good, 5 as never)).rejects.toMatchObject({ code: 'invalid_argument' })
  })
})
