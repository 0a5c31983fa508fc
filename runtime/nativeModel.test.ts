import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { testedBackends } from '../test/support/nativeBackends.ts'
import {
  cycleModel,
  cycleVocab,
  ints,
  one,
  prompt,
  slotOptions,
  slowBatch,
  slowModel,
  WeightFolder,
} from '../test/support/nativeTestModels.ts'
import { loadNative } from './loadNative.ts'
import type { NativeModel, SampleBatch, StepBatch } from './native.ts'

const native = loadNative()
const folder = new WeightFolder()
afterAll(() => folder[Symbol.dispose]())

describe.each(testedBackends())('a model of the %s backend', backend => {
  let model: NativeModel
  beforeEach(async () => {
    model = await native.load(cycleModel(folder, backend))
  })
  afterEach(() => model.dispose())

  it('runs a step and draws from it', async () => {
    const slot = model.openSlot(slotOptions({ topLogprobs: 3 }))
    const { ms } = await model.forward(prompt([1, 2, 3]))
    expect(ms).toBeGreaterThan(0)
    const result = await model.sample(one(slot, 3))
    expect(result.tokens).toEqual(ints(4))
    expect(result.maxTop).toBe(3)
    expect(result.topIds[0]).toBe(4)
    const logProbability = -Math.log(1 + 7 * Math.exp(-10))
    expect(result.logprobs[0]).toBeCloseTo(logProbability, 5)
    expect(result.topLogprobs[0]).toBeCloseTo(logProbability, 5)
    expect(result.topLogprobs[1]).toBeCloseTo(logProbability - 10, 5)
  })

  it('shows logits and buffers, and scores tokens', async () => {
    await model.forward({ ...prompt([5, 6, 7]), logitRows: ints(2, 0, 2) })
    const rows = await Promise.all([0, 1, 2].map(row => model.readLogits(row)))
    expect(rows.map(row => row.indexOf(Math.max(...row)))).toEqual([0, 6, 0])
    expect(rows[0]).toEqual(rows[2])
    const logits = await model.readBuffer('b3')
    expect(logits.subarray(cycleVocab, 2 * cycleVocab)).toEqual(rows[1])
    const score = await model.score({ rows: ints(1, 1), tokens: ints(6, 2), top: 1 })
    expect(score.logprobs[0]).toBeCloseTo(0, 2)
    expect(score.logprobs[1]).toBeCloseTo(-10, 2)
    expect(score.topIds).toEqual(ints(6, 6))
    expect(score).not.toHaveProperty('tokens')
  })

  it('stops after an op on request', async () => {
    await model.forward(prompt([3]), 0)
    expect((await model.readBuffer('b0'))[3]).toBe(10)
    await expect(model.readLogits(0)).rejects.toMatchObject({ code: 'invalid_batch' })
    await expect(model.forward(prompt([3]), 5)).rejects.toMatchObject({ code: 'invalid_argument' })
  })

  it('takes steps queued before the samples they follow on', async () => {
    const slot = model.openSlot(slotOptions())
    const step = prompt([2])
    const steps = [model.forward(step), model.sample(one(slot, 1))] as const
    const drawn = [steps[1]]
    for (let position = 1; position < 12; position++) {
      step.tokens[0] = -(slot + 1) // arrays are copied at the call
      step.positions[0] = position
      step.kvLength[0] = position + 1
      void model.forward(step)
      drawn.push(model.sample(one(slot, position + 1)))
    }
    const tokens = (await Promise.all(drawn)).map(result => result.tokens[0])
    expect(tokens).toEqual(Array.from({ length: 12 }, (_, i) => (3 + i) % cycleVocab))
  })

  it('copies pages', async () => {
    await model.forward(prompt([1, 2, 3]))
    await model.forward(prompt([6], { from: 3 }))
    const expected = await model.readLogits(0)
    await model.copyPages(ints(0), ints(2))
    await model.forward(prompt([4], { from: 3 }))
    await model.forward(prompt([6], { from: 3, pages: [2] }))
    expect(await model.readLogits(0)).toEqual(expected)
    for (const [from, to] of [
      [ints(0), ints(4)],
      [ints(0, 1), ints(2)],
      [ints(0, 1), ints(2, 2)],
      [ints(0, 1), ints(1, 2)],
    ] as const) {
      await expect(model.copyPages(from, to)).rejects.toMatchObject({ code: 'invalid_batch' })
    }
  })

  it('takes along what depends on a rejected step, and nothing else', async () => {
    const slot = model.openSlot(slotOptions())
    await model.forward(prompt([1]))
    await model.sample(one(slot, 1))
    const bad = model.forward({ ...prompt([-(slot + 1)], { from: 1 }), logitRows: ints(9) })
    const chain = [
      bad,
      model.sample(one(slot, 2)),
      model.score({ rows: ints(0), tokens: ints(0), top: 0 }),
      model.readLogits(0),
      model.forward(prompt([-(slot + 1)], { from: 2 })),
      model.sample(one(slot, 3)),
    ]
    for (const call of chain) await expect(call).rejects.toMatchObject({ code: 'invalid_batch' })
    // The slot still holds 2, but its newest sample failed: only a token given outright goes on.
    await model.forward(prompt([2], { from: 1 }))
    expect((await model.sample(one(slot, 2))).tokens).toEqual(ints(3))
    await model.forward(prompt([-(slot + 1)], { from: 2 }))
    expect((await model.sample(one(slot, 3))).tokens).toEqual(ints(4))
  })

  it('takes along what depends on a call with arguments that cannot be read', async () => {
    const slot = model.openSlot(slotOptions())
    const refused = { code: 'invalid_argument' }
    await model.forward(prompt([1]))
    await model.sample(one(slot, 1))
    await expect(model.sample({ ...one(slot, 2), rows: [0] as never })).rejects.toMatchObject(
      refused,
    )
    await expect(model.forward(prompt([-(slot + 1)]))).rejects.toMatchObject(refused)
    await model.forward(prompt([1]))
    await expect(model.forward(undefined as never)).rejects.toMatchObject(refused)
    await expect(model.readLogits(0)).rejects.toMatchObject(refused)
  })

  it('refuses batches that would read or write outside of anything', async () => {
    const slot = model.openSlot(slotOptions())
    const good = prompt([1, 2])
    const bad: Partial<Record<keyof StepBatch, unknown>>[] = [
      { tokens: ints(1, cycleVocab) },
      { tokens: ints(1, -2147483648) },
      { tokens: ints(1, -(slot + 1)) },
      { tokens: ints(1, -3) },
      { tokens: ints(1) },
      { tokens: new Int32Array(1e6) },
      { positions: ints(0, 2) },
      { positions: ints(-1, 0) },
      { positions: ints(2147483647, 2147483647) },
      { queryStart: ints(0, 3) },
      { queryStart: ints(0, -1) },
      { queryStart: ints() },
      { kvLength: ints(5) },
      { kvLength: ints(2147483647) },
      { kvLength: ints() },
      { pageTables: [] },
      { pageTables: [...good.pageTables, ...good.pageTables] },
      { pageTables: [{ start: ints(0, 1), pages: ints(4) }] },
      { pageTables: [{ start: ints(0, 1), pages: ints(-1) }] },
      { pageTables: [{ start: ints(0, 0), pages: ints() }] },
      { pageTables: [{ start: ints(-5, 1), pages: ints(0) }] },
      { pageTables: [{ start: ints(0, 2147483647), pages: ints(0) }] },
      { logitRows: ints(2) },
      { logitRows: ints(-1) },
      { logitRows: new Int32Array(9) },
    ]
    for (const change of bad) {
      await expect(model.forward({ ...good, ...change } as StepBatch)).rejects.toMatchObject({
        code: 'invalid_batch',
      })
    }
    await model.forward(good)
    const badSamples: Partial<SampleBatch>[] = [
      { rows: ints(1) },
      { rows: ints(-1) },
      { rows: ints() },
      { slots: ints(slot + 1) },
      { slots: ints(-1) },
      { slots: ints(2147483647) },
      { positions: ints(-1) },
      { positions: ints(1, 2) },
      { masks: { words: new Uint32Array(0), masked: Uint8Array.of(1) } },
      { masks: { words: new Uint32Array(0), masked: new Uint8Array(0) } },
      { following: { start: ints(), tokens: ints() } },
      { masks: { words: new Uint32Array(1), masked: Uint8Array.of(1, 1) } },
    ]
    for (const change of badSamples) {
      await expect(model.sample({ ...one(slot, 2), ...change })).rejects.toMatchObject({
        code: 'invalid_batch',
      })
    }
    const twice = { rows: ints(0, 0), slots: ints(slot, slot), positions: ints(2, 2) }
    await expect(model.sample(twice)).rejects.toThrow(/slot 0 again/)
    for (const change of [
      { tokens: ints(8) },
      { tokens: ints(-1) },
      { tokens: ints() },
      { top: 21 },
    ]) {
      const batch = { rows: ints(0), tokens: ints(0), top: 0, ...change }
      await expect(model.score(batch)).rejects.toMatchObject({ code: 'invalid_batch' })
    }
    for (const row of [1, 2147483647]) {
      await expect(model.readLogits(row)).rejects.toMatchObject({ code: 'invalid_batch' })
    }
    expect((await model.sample(one(slot, 2))).tokens).toEqual(ints(3))
  })

  it('refuses arguments of other types, whatever they are', async () => {
    const detached = ints(0)
    structuredClone(detached.buffer, { transfer: [detached.buffer] })
    const strange: unknown[] = [
      undefined,
      null,
      1,
      'x',
      Symbol('x'),
      10n,
      [],
      {},
      () => {},
      [1],
      new Proxy([], {}),
      new DataView(new ArrayBuffer(8)),
      new ArrayBuffer(8),
      new BigInt64Array(2),
      new Float64Array(2),
      new Uint8ClampedArray(2),
      Object.create(Int32Array.prototype),
      new Proxy(ints(0), {}),
      detached,
    ]
    const good = prompt([1])
    for (const value of strange) {
      const forwards = (Object.keys(good) as (keyof StepBatch)[]).map(key =>
        model.forward({ ...good, [key]: value } as StepBatch),
      )
      const calls = [
        ...forwards.filter((_, i) => !(i === 5 && value === detached)), // L may be 0
        model.forward(value as never),
        model.forward({ ...good, pageTables: [value] } as never),
        model.sample(value as never),
        model.sample({ ...one(0, 0), slots: value } as never),
        model.score(value as never),
        model.score({ rows: value, tokens: ints(0), top: 0 } as never),
        model.readLogits(value === 1 ? -1 : (value as never)),
        model.readBuffer(value as never),
        model.copyPages(value as never, ints(0)),
      ]
      for (const call of calls) {
        await expect(call).rejects.toMatchObject({
          code: expect.stringMatching(/^invalid_(argument|batch)$/),
        })
      }
    }
    const throwing = new Proxy(
      {},
      {
        get: () => {
          throw new Error('boo')
        },
      },
    )
    await expect(model.forward(throwing as never)).rejects.toThrow('batch.tokens cannot be read')
    const shared = new Int32Array(new SharedArrayBuffer(4))
    await model.forward({ ...good, tokens: shared })
    const { forward } = model // methods need no receiver
    await forward.call(undefined, good)
    await model.forward(good)
  })

  it('can be disposed of from inside an argument', async () => {
    const other = await native.load(cycleModel(folder, backend))
    const batch = {
      ...prompt([1]),
      get kvLength() {
        void other.dispose()
        return ints(1)
      },
    }
    await expect(other.forward(batch)).rejects.toMatchObject({ code: 'disposed' })
  })

  it('ends once', async () => {
    const slot = model.openSlot(slotOptions())
    await Promise.all([model.dispose(), model.dispose()])
    await model.dispose()
    const disposed = { code: 'disposed' }
    await expect(model.forward(prompt([1]))).rejects.toMatchObject(disposed)
    await expect(model.sample(one(slot, 1))).rejects.toMatchObject(disposed)
    await expect(model.readLogits(0)).rejects.toMatchObject(disposed)
    await expect(model.copyPages(ints(), ints())).rejects.toMatchObject(disposed)
    for (const call of [
      () => model.openSlot(slotOptions()),
      () => model.closeSlot(slot),
      () => model.interrupt(),
    ]) {
      expect(call).toThrow(expect.objectContaining(disposed))
    }
  })
})

describe('a step that takes long', () => {
  let model: NativeModel
  beforeEach(async () => {
    model = await native.load(slowModel(folder))
  })
  afterEach(() => model.dispose())

  it('leaves the event loop alone', async () => {
    let ticks = 0
    const timer = setInterval(() => ticks++, 5)
    const { ms } = await model.forward(slowBatch())
    clearInterval(timer)
    expect(ticks).toBeGreaterThan(ms / 5 / 4)
  })

  it('ends soon when interrupted, with everything queued; what comes later runs', async () => {
    const slot = model.openSlot(slotOptions())
    const calls = [
      model.forward(slowBatch()),
      model.sample(one(slot, 64)),
      model.forward({ ...slowBatch(), logitRows: ints(1) }),
      model.readLogits(0),
    ]
    await new Promise(resolve => setTimeout(resolve, 40))
    const started = performance.now()
    model.interrupt()
    const late = model.forward(slowBatch(), 0)
    for (const call of calls) await expect(call).rejects.toMatchObject({ code: 'interrupted' })
    expect(performance.now() - started).toBeLessThan(300)
    await late
    await expect(model.forward({ ...prompt([-(slot + 1)]), pageTables: [] })).rejects.toMatchObject(
      {
        code: 'interrupted', // as its newest sample
      },
    )
    model.closeSlot(slot)
    expect(model.openSlot(slotOptions())).toBe(slot)
    await model.forward({ ...prompt([5]), pageTables: [] })
    expect((await model.sample(one(slot, 1))).tokens).toEqual(ints(5))
  })

  it('is interrupted by dispose', async () => {
    const calls = [model.forward(slowBatch()), model.forward(slowBatch())]
    const started = performance.now()
    const disposed = model.dispose()
    for (const call of calls) await expect(call).rejects.toMatchObject({ code: 'interrupted' })
    await disposed
    expect(performance.now() - started).toBeLessThan(300)
  })
})
