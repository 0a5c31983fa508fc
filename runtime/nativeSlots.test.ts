import fc from 'fast-check'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { testedBackends } from '../test/support/nativeBackends.ts'
import {
  cycleModel,
  cycleVocab,
  ints,
  one,
  prompt,
  slotOptions,
  WeightFolder,
} from '../test/support/nativeTestModels.ts'
import { loadNative } from './loadNative.ts'
import type { NativeModel, StepBatch } from './native.ts'

const native = loadNative()
const folder = new WeightFolder()
afterAll(() => folder[Symbol.dispose]())

describe.each(testedBackends())('slots of the %s backend', backend => {
  let model: NativeModel
  beforeEach(async () => {
    model = await native.load(cycleModel(folder, backend))
  })
  afterEach(() => model.dispose())

  it('draws the same whoever else is served', async () => {
    const hot = (seed: number) => slotOptions({ temperature: 8, seed })
    const alone: number[] = []
    const slot = model.openSlot(hot(7))
    await model.forward(prompt([1, 2]))
    for (let position = 2; position < 30; position++) {
      alone.push((await model.sample(one(slot, position))).tokens[0] ?? -1)
    }
    expect(new Set(alone).size).toBeGreaterThan(3)
    model.closeSlot(slot)

    const slots = [8, 7, 9].map(seed => model.openSlot(hot(seed)))
    const batch: StepBatch = {
      tokens: ints(4, 1, 2, 5),
      positions: ints(0, 0, 1, 0),
      queryStart: ints(0, 1, 3, 4),
      kvLength: ints(1, 2, 1),
      pageTables: [{ start: ints(0, 1, 2, 3), pages: ints(3, 0, 2) }],
      logitRows: ints(3, 2, 0),
    }
    await model.forward(batch)
    for (let position = 2; position < 30; position++) {
      const positions = ints(5, position, 6)
      const result = await model.sample({ rows: ints(0, 1, 2), slots: ints(...slots), positions })
      expect(result.tokens[1]).toBe(alone[position - 2])
    }
  })

  it('keeps to masks; without a token to draw the slot stays and a queued step reads token 0', async () => {
    const slot = model.openSlot(slotOptions())
    await model.forward(prompt([1]))
    const masks = { words: Uint32Array.of(1 << 5), masked: Uint8Array.of(1) }
    expect((await model.sample({ ...one(slot, 1), masks })).tokens).toEqual(ints(5))
    masks.masked[0] = 0
    expect((await model.sample({ ...one(slot, 1), masks })).tokens).toEqual(ints(2))
    masks.masked[0] = 1
    masks.words[0] = 0
    const none = model.sample({ ...one(slot, 1), masks })
    const step = model.forward(prompt([-(slot + 1)], { from: 1 }))
    expect((await none).tokens).toEqual(ints(-1))
    expect((await none).logprobs[0]).toBeNaN()
    await step
    expect((await model.sample(one(slot, 2))).tokens).toEqual(ints(1))
  })

  it('counts what a slot has drawn, but not what was rejected', async () => {
    const slot = model.openSlot(slotOptions({ presencePenalty: 100 }))
    await model.forward(prompt([1]))
    await expect(model.sample(one(slot, 1, 4))).rejects.toMatchObject({ code: 'invalid_batch' })
    expect((await model.sample(one(slot, 1))).tokens).toEqual(ints(2))
    expect((await model.sample(one(slot, 2))).tokens).not.toEqual(ints(2))
  })

  it('takes tokens that follow the drawn one as drawn, unless the call is refused', async () => {
    const slot = model.openSlot(slotOptions({ presencePenalty: 100 }))
    const other = model.openSlot(slotOptions())
    await model.forward(prompt([1]))
    const both = { rows: ints(0, 0), slots: ints(other, slot), positions: ints(1, 1) }
    for (const following of [
      { start: ints(0, 0), tokens: ints() },
      { start: ints(1, 1, 1), tokens: ints(3) },
      { start: ints(0, 2, 1), tokens: ints(3) },
      { start: ints(0, 0, 1), tokens: ints(3, 4) },
      { start: ints(0, 0, 1), tokens: ints(cycleVocab) },
    ]) {
      await expect(model.sample({ ...both, following })).rejects.toMatchObject({
        code: 'invalid_batch',
      })
    }
    const following = { start: ints(0, 0, 2), tokens: ints(4, 3) }
    expect((await model.sample({ ...both, following })).tokens).toEqual(ints(2, 2))
    // The last sample of the slot is 3, that of the other 2; 4 is penalized as well as 2.
    await model.forward(prompt([-(slot + 1)], { from: 3 }))
    expect((await model.sample(one(slot, 4))).tokens).not.toEqual(ints(4))
    await model.forward(prompt([-(other + 1)], { from: 1 }))
    expect((await model.sample(one(other, 2))).tokens).toEqual(ints(3))
  })

  it('penalizes what would repeat a run, unless a breaker ends it', async () => {
    await model.forward(prompt([1]))
    const draw = async (breakers: Int32Array) => {
      const dry = { multiplier: 100, base: 1.75, allowedLength: 2, breakers }
      const slot = model.openSlot(slotOptions({ dry, history: ints(3, 1, 2, 5, 3, 1) }))
      const { tokens } = await model.sample(one(slot, 1))
      model.closeSlot(slot)
      return tokens
    }
    expect(await draw(ints(5))).not.toEqual(ints(2))
    expect(await draw(ints(1))).toEqual(ints(2))
    expect(await draw(ints(2))).toEqual(ints(2))
  })

  it('returns -1 for logits that are not finite', async () => {
    const plan = (text: string) => text.replace('scale=1\n', 'scale=3e+38\n')
    const broken = await native.load(cycleModel(folder, backend, { plan }))
    const slot = broken.openSlot(slotOptions())
    await broken.forward(prompt([1]))
    expect((await broken.sample(one(slot, 1))).tokens).toEqual(ints(-1))
    const score = await broken.score({ rows: ints(0), tokens: ints(1), top: 2 })
    expect(score.logprobs[0]).toBeNaN()
    expect(score.topIds).toEqual(ints(-1, -1))
    await broken.dispose()
  })

  it('gives out slots', async () => {
    const slots = [0, 1, 2].map(() => model.openSlot(slotOptions()))
    expect(new Set(slots).size).toBe(3)
    expect(() => model.openSlot(slotOptions())).toThrow(
      expect.objectContaining({ code: 'no_slot' }),
    )
    await model.forward(prompt([1]))
    const second = slots[1] ?? -1
    const drawn = model.sample(one(second, 1))
    model.closeSlot(second)
    expect(model.openSlot(slotOptions())).toBe(second)
    expect((await drawn).tokens).toEqual(ints(2)) // queued before the slot was closed
    await expect(model.forward(prompt([-(second + 1)], { from: 1 }))).rejects.toThrow(
      /not sampled yet/,
    )
    model.closeSlot(second)
    const closed = { code: 'invalid_argument', message: expect.stringContaining('not open') }
    expect(() => model.closeSlot(second)).toThrow(expect.objectContaining(closed))
    expect(() => model.closeSlot(3)).toThrow(/slot is 3/)
    expect(() => model.closeSlot('0' as never)).toThrow(/slot is a string/)
    await model.forward(prompt([1]))
    await expect(model.sample(one(second, 1))).rejects.toMatchObject({ code: 'invalid_batch' })
  })

  it('refuses slot options that make no sense', () => {
    const dry = { multiplier: 1, base: 1, allowedLength: 2, breakers: ints() }
    for (const [change, part] of [
      [{ temperature: Number.NaN }, 'temperature is nan'],
      [{ topP: 2 }, 'topP is 2'],
      [{ topK: 0.5 }, 'topK is 0.5'],
      [{ seed: -1 }, 'seed is -1'],
      [{ seed: 2 ** 53 }, 'seed is 9007199254740992'],
      [{ topLogprobs: 21 }, 'topLogprobs is 21'],
      [{ repetitionPenalty: 0 }, 'repetitionPenalty is 0'],
      [{ history: ints(8) }, 'history[0] is 8'],
      [{ history: [1] as never }, 'history is an array: must be an Int32Array'],
      [{ dry: { ...dry, base: 0.5 } }, 'dry.base is 0.5'],
      [{ dry: { ...dry, breakers: ints(8) } }, 'dry.breakers[0] is 8'],
      [{ biasIds: ints(1) }, 'biasIds has 1 entries and biasValues 0'],
      [{ minP: undefined as never }, 'minP is undefined: must be a number'],
    ] as const) {
      expect(() => model.openSlot(slotOptions(change))).toThrow(
        expect.objectContaining({
          code: 'invalid_argument',
          message: expect.stringContaining(part),
        }),
      )
    }
    expect(() => model.openSlot(null as never)).toThrow('options is null: must be an object')
  })

  it('takes lists of following tokens as drawn, or refuses them, whatever they are', async () => {
    const slots = [1, 2].map(seed => model.openSlot(slotOptions({ seed })))
    const lastOf = async (slot: number) => {
      await model.forward(prompt([-(slot + 1)], { from: 1 }))
      return ((await model.readLogits(0)).findIndex(logit => logit > 5) + 7) % cycleVocab
    }
    const lists = fc.array(mostly(fc.nat(cycleVocab - 1)), { maxLength: 4 }).chain(tokens =>
      fc.record({
        tokens: fc.constant(tokens),
        start: fc.oneof(
          fc.array(mostly(fc.nat(4)), { maxLength: 4 }),
          fc.nat(tokens.length).map(middle => [0, middle, tokens.length]),
        ),
      }),
    )
    let numTaken = 0
    await fc.assert(
      fc.asyncProperty(lists, async ({ start, tokens }) => {
        const [from = 1, middle = 0, end = 0] = start
        const isValid =
          start.length === 3 &&
          from === 0 &&
          middle >= 0 &&
          end >= middle &&
          end === tokens.length &&
          tokens.every(token => token >= 0 && token < cycleVocab)
        await model.forward(prompt([4]))
        const drawn = model.sample({
          rows: ints(0, 0),
          slots: ints(...slots),
          positions: ints(1, 1),
          following: { start: ints(...start), tokens: ints(...tokens) },
        })
        if (!isValid) {
          await expect(drawn).rejects.toMatchObject({ code: 'invalid_batch' })
          return
        }
        numTaken++
        expect((await drawn).tokens).toEqual(ints(5, 5))
        const [first = -1, second = -1] = slots
        expect(await lastOf(first)).toBe(tokens.slice(0, middle).at(-1) ?? 5)
        expect(await lastOf(second)).toBe(tokens.slice(middle).at(-1) ?? 5)
      }),
      { numRuns: 1000, seed: 1 },
    )
    expect(numTaken).toBeGreaterThan(200)
  })
})

function mostly(likely: fc.Arbitrary<number>): fc.Arbitrary<number> {
  const anyInt = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
  return fc.oneof({ weight: 9, arbitrary: likely }, { weight: 1, arbitrary: anyInt })
}
