import { afterAll, expect, test } from 'vitest'
import type { GenerateEvent, GenerateJob } from '../../edge/engine.ts'
import { encode, reading, text, vocabSize } from '../../test/support/asciiText.ts'
import { collectEvents, fakeEngine } from '../../test/support/fakeEngine.ts'
import { calls, job, jumpCases, kept, regex } from '../../test/support/jumpCases.ts'

/** Every token is a character or control token: texts are written in one way, and what is drawn depends on what came before. */
const engines = [true, false].map(jumpAhead =>
  fakeEngine(text, { reading, maxModelLen: 600, vocabSize, jumpAhead }),
)
afterAll(() => Promise.all(engines.map(({ engine }) => engine.dispose())))

test.each(jumpCases)('the same with and without jumps: %s', async (_name, change) => {
  const before = engines.map(({ native }) => native.numForwards)
  for (let seed = 0; seed < 10; seed++) {
    const sampling = { ...change.sampling, seed }
    const request = job(seed, { ...change, sampling })
    const [jumping, drawing] = await Promise.all(
      engines.map(async ({ engine }) => kept(await collectEvents(engine, request), request.n)),
    )
    expect(jumping).toEqual(drawing)
    const [first] = jumping ?? []
    if (request.logprobs && request.n === 1 && first?.usage[1] !== undefined) {
      // The token that ends the text has none.
      const numScored = first.logprobs.length
      expect([numScored, numScored + 1]).toContain(first.usage[1])
    }
  }
  for (const { engine } of engines) engine.checkInvariants()
  const [jumps = 0, draws = 0] = engines.map(
    ({ native }, i) => native.numForwards - (before[i] ?? 0),
  )
  const mayJump = (change.maxTokens ?? 200) > 1 && change.maxReasoningTokens === undefined
  if (mayJump) expect(jumps).toBeLessThan(draws)
})

test('many at a time, cancelled or short of pages', async () => {
  const tight = fakeEngine(text, {
    reading,
    maxModelLen: 300,
    vocabSize,
    scheduler: { numPages: 90, maxSequences: 6, maxSlots: 12 },
  })
  const aborts = Array.from({ length: 24 }, () => new AbortController())
  const runs = aborts.map(async ({ signal }, seed) => {
    const request = job(seed, { ...(seed % 2 ? calls : regex), maxTokens: 150 })
    const { events } = await tight.engine.submit({ ...request, sampling: { seed } }, signal)
    const all: GenerateEvent[] = []
    for await (const item of events) {
      all.push(...item)
      if (seed % 5 === 0) aborts[seed]?.abort()
    }
    return { seed, said: kept(all, 1) }
  })
  for (const { seed, said } of await Promise.all(runs)) {
    if (seed % 5 === 0) continue
    const request = job(seed, { ...(seed % 2 ? calls : regex), maxTokens: 150 })
    const { engine } = engines[1] ?? raise()
    expect(said).toEqual(kept(await collectEvents(engine, request), 1))
  }
  expect((await tight.engine.metrics())[0]?.preemptions).toBeGreaterThan(0)
  tight.engine.checkInvariants()
  await tight.engine.dispose()
})

test('a token that the request has its own say in is left to the sampler', async () => {
  const { engine, native } = engines[0] ?? raise()
  const forced: Partial<GenerateJob> = {
    prompt: { kind: 'text', prompts: ['x'] },
    grammar: { type: 'regex', pattern: '[xy]The answer is here' },
  }
  const stepsWith = async (sampling: GenerateJob['sampling']) => {
    const before = native.numForwards
    const events = await collectEvents(engine, job(1, { ...forced, sampling }))
    expect(kept(events, 1)[0]?.said).toMatch(/^[xy]The answer is here$/)
    return native.numForwards - before
  }
  expect(await stepsWith({ seed: 1 })).toBeLessThan(6)
  const logitBias: [number, number][] = [[encode('h')[0] ?? 0, 1]]
  expect(await stepsWith({ seed: 1, logitBias })).toBeGreaterThan(18)
})

function raise(): never {
  throw new Error('unreachable')
}
