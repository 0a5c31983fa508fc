import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { rewrites } from '../../runtime/graph/rewrites.ts'
import { loadNative } from '../../runtime/loadNative.ts'
import { prepareModel } from '../../runtime/models/loadModel.ts'
import type { Backend, NativeBinding } from '../../runtime/native.ts'
import { readGolden } from './goldenFile.ts'
import { NativeSession } from './nativeSession.ts'
import { probeBefore } from './planProbe.ts'
import { runGolden } from './runGolden.ts'

const goldens = path.join(import.meta.dirname, '../goldens')
const families = readdirSync(goldens).filter(name =>
  existsSync(path.join(goldens, name, 'golden.json')),
)

/** Those that generate; the others have no logits to compare. */
const generating = families.filter(name => !existsSync(path.join(goldens, name, 'modules.json')))

const native = await addon()
const gpu = native?.gpuInfo()
if (native && !gpu)
  console.log('skipped: goldens on the cuda backend (no device, or a build without nvcc)')

async function addon(): Promise<NativeBinding | undefined> {
  try {
    return await loadNative()
  } catch (error) {
    console.log(`skipped: the addon does not load (npm run build): ${error}`)
    return undefined
  }
}

describe.skipIf(!native).each(families)('%s against its golden', family => {
  const folder = path.join(goldens, family)
  const isas = native?.cpuInfo().isas ?? []

  it.each(['reference', ...isas, ...(gpu ? ['cuda'] : [])])('%s', async variant => {
    if (!native) return
    const isa = isas.find(known => known === variant)
    const backend: Backend = isa ? 'cpu' : variant === 'cuda' ? 'cuda' : 'reference'
    const options = { backends: [backend], threads: 2, ...(isa ? { isa } : {}) } as const
    for (const outcome of await runGolden(native, folder, options)) {
      expect(outcome).toMatchObject({ kind: 'ran', comparison: { failures: [] } })
    }
  })
})

// Which families have a match for each rewrite; every other pair must leave the plan as it is.
const used: Record<string, string[]> = {
  'gated-linear': generating,
  'parallel-linears': generating,
  'norm-prologue': generating,
  'linear-residual': generating.filter(family => !family.startsWith('gemma')),
  'norm-residual': generating.filter(family => family.startsWith('gemma')),
  // Needs norm-residual first.
  'norm-scale': [],
  'norm-rope': generating.filter(family => /^(gemma|qwen3|gguf)/.test(family)),
}

describe.skipIf(!native).each(generating)('%s fused as it is unfused', family => {
  it.each(rewrites.map(rewrite => rewrite.name))('%s', async name => {
    if (!native) return
    const folder = path.join(goldens, family)
    const golden = await readGolden(folder, readdirSync(folder))
    const tokens = golden.cases.find(item => item.input_ids.length > 30)?.input_ids ?? []
    const index = rewrites.findIndex(rewrite => rewrite.name === name)
    const chosen =
      name === 'norm-scale' ? rewrites.slice(0, index + 1) : rewrites.slice(index, index + 1)
    const [plain, fused] = await Promise.all([
      prepareModel(folder, { fuse: false }),
      prepareModel(folder, { fuse: chosen }),
    ])
    if (name !== 'norm-scale') {
      expect(fused.plan !== plain.plan).toBe(used[name]?.includes(family))
    }
    const options = { backend: 'reference', threads: 2, maxLength: tokens.length } as const
    const logits: Float32Array[] = []
    for (const prepared of [plain, fused]) {
      const session = await NativeSession.open(native, prepared, options)
      logits.push(await session.lastLogits(tokens))
      await session.dispose()
    }
    const [a = new Float32Array(), b = new Float32Array()] = logits
    expect(a.length).toBe(b.length)
    a.forEach((value, i) => {
      expect(Math.abs(value - (b[i] ?? Number.NaN))).toBeLessThan(1e-4)
    })
  })
})

describe.skipIf(!native)('in-situ quantization', () => {
  it.each(['q8_0', 'q4k'] as const)(
    '%s: both backends agree and stay near the floats',
    async isq => {
      if (!native) return
      const folder = path.join(goldens, 'llama')
      const golden = await readGolden(folder, readdirSync(folder))
      const [item] = golden.cases.filter(candidate => candidate.input_ids.length > 30)
      const tokens = item?.input_ids ?? []
      const prepared = await prepareModel(folder, { isq })
      const logits: Float32Array[] = []
      for (const backend of ['reference', 'cpu'] as const) {
        const options = { backend, threads: 2, maxLength: tokens.length }
        const session = await NativeSession.open(native, prepared, options)
        logits.push(await session.lastLogits(tokens))
        await session.dispose()
      }
      const [reference = new Float32Array(), fast = new Float32Array()] = logits
      const rms = (a: ArrayLike<number>, b: ArrayLike<number>) =>
        Math.sqrt(
          Array.from(a, (x, i) => (x - (b[i] ?? Number.NaN)) ** 2).reduce((s, x) => s + x) /
            a.length,
        )
      const spread = rms(reference, new Float32Array(reference.length))
      expect(rms(fast, reference) / spread).toBeLessThan(0.06)
      // 5-bit weights where rows of 64 and 160 do not fill the blocks of q4k.
      expect(rms(reference, item?.last_logits ?? []) / spread).toBeLessThan(
        isq === 'q4k' ? 0.3 : 0.05,
      )
    },
  )
})

describe('probeBefore', () => {
  const plan = [
    'weight w1 rows=1 cols=4 name=model.layers.1.input_layernorm.weight',
    'weight w11 rows=1 cols=4 name=other.weight',
    'op embed out=b0 weight=w0 scale=1',
    'op linear in=b0 out=b1 weights=w11',
    'op linear in=b2 out=b3 weights=w5,w6 norm=w1 eps=1 offset=0',
    'op select_rows in=b4 out=b5',
  ].join('\n')

  it('finds the input of the op that reads a weight', () => {
    const name = 'model.layers.1.input_layernorm.weight'
    expect(probeBefore(plan, name)).toEqual({ op: 1, buffer: 'b2' })
  })

  it('takes the end of the layers where there is no such layer', () => {
    const name = 'model.layers.9.input_layernorm.weight'
    expect(probeBefore(plan, name)).toEqual({ op: 2, buffer: 'b4' })
  })
})
