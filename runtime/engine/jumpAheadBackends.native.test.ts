import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { reading, text, vocabSize } from '../../test/support/asciiText.ts'
import { collectEvents, engineOver } from '../../test/support/fakeEngine.ts'
import { calls, job, jumpCases, kept, regex } from '../../test/support/jumpCases.ts'
import { testedBackends } from '../../test/support/nativeBackends.ts'
import { tableModel, tablePageTokens, WeightFolder } from '../../test/support/nativeTestModels.ts'
import { loadNative } from '../loadNative.ts'
import type { Backend, NativeModel } from '../native.ts'
import type { LocalEngine } from './localEngine.ts'

/** The reference adds nothing to `cpu` here, and takes long. */
const backends = testedBackends().filter(backend => backend !== 'reference')
const folder = new WeightFolder()
afterAll(() => folder[Symbol.dispose]())

interface Subject {
  engine: LocalEngine
  numForwards: () => number
}

async function subject(backend: Backend, jumpAhead: boolean, numPages = 400): Promise<Subject> {
  const model = await loadNative().load(tableModel(folder, { backend, vocab: vocabSize, numPages }))
  let numForwards = 0
  const counting: NativeModel = {
    ...model,
    forward: (...step) => {
      numForwards++
      return model.forward(...step)
    },
  }
  const engine = engineOver(counting, text, {
    reading,
    maxModelLen: 600,
    vocabSize,
    jumpAhead,
    scheduler: { groups: [{ pageTokens: tablePageTokens, window: null }], numPages },
  })
  return { engine, numForwards: () => numForwards }
}

/** The same but for the rounding of log-probabilities. */
function nearly(value: unknown): unknown {
  if (typeof value === 'number') return expect.closeTo(value, 3)
  if (Array.isArray(value)) return value.map(nearly)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, nearly(inner)]))
}

const oneEach = Array.from({ length: 12 }, (_, i) => i)

describe.each(backends)('jumps on the %s backend', backend => {
  let jumping: Subject
  let drawing: Subject
  beforeAll(async () => {
    jumping = await subject(backend, true)
    drawing = await subject(backend, false)
  })
  afterAll(async () => {
    await Promise.all([jumping?.engine.dispose(), drawing?.engine.dispose()])
  })

  async function keptOf({ engine }: Subject, seed: number, change: (typeof jumpCases)[0][1]) {
    const request = job(seed, { ...change, sampling: { ...change.sampling, seed } })
    return kept(await collectEvents(engine, request), request.n)
  }

  test.each(jumpCases)('give the same, each alone: %s', async (_name, change) => {
    for (let seed = 0; seed < 3; seed++) {
      expect(await keptOf(jumping, seed, change)).toEqual(
        nearly(await keptOf(drawing, seed, change)),
      )
    }
    jumping.engine.checkInvariants()
  })

  test('give the same in batches with all else, and in fewer steps', async () => {
    const changes = [...jumpCases.map(([, change]) => change), { n: 3, maxTokens: 60 }]
    const before = [jumping, drawing].map(({ numForwards }) => numForwards())
    const [a, b] = await Promise.all(
      [jumping, drawing].map(each =>
        Promise.all(changes.map((change, seed) => keptOf(each, seed, change))),
      ),
    )
    expect(a).toEqual(nearly(b))
    const [jumps = 0, draws = 0] = [jumping, drawing].map(
      ({ numForwards }, i) => numForwards() - (before[i] ?? 0),
    )
    expect(jumps).toBeLessThan(draws)
  })

  test('give the same when sequences lose their pages and recompute', async () => {
    const tight = await subject(backend, true, 40)
    const jobs = oneEach.map(
      seed => [seed, { ...(seed % 2 ? calls : regex), maxTokens: 150 }] as const,
    )
    const squeezed = await Promise.all(jobs.map(([seed, change]) => keptOf(tight, seed, change)))
    for (const [seed, change] of jobs) {
      expect(squeezed[seed]).toEqual(nearly(await keptOf(drawing, seed, change)))
    }
    expect(tight.engine.stats().preemptions).toBeGreaterThan(0)
    tight.engine.checkInvariants()
    await tight.engine.dispose()
  })
})
