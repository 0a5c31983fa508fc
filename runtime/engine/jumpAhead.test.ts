import { afterAll, expect, test } from 'vitest'
import type { GenerateEvent, GenerateJob, ToolDefinition } from '../../edge/engine.ts'
import { encode, reading, text, vocabSize } from '../../test/support/asciiText.ts'
import { collectEvents, fakeEngine } from '../../test/support/fakeEngine.ts'

/** Every token is a character or control token: texts are written in one way, and what is drawn depends on what came before. */
const engines = [true, false].map(jumpAhead =>
  fakeEngine(text, { reading, maxModelLen: 600, vocabSize, jumpAhead }),
)
afterAll(() => Promise.all(engines.map(({ engine }) => engine.dispose())))

const record: ToolDefinition = {
  type: 'function',
  function: {
    name: 'record_temperature',
    parameters: {
      type: 'object',
      properties: {
        temperature_celsius: { type: 'integer', minimum: -9, maximum: 99 },
        measured_by_station: { enum: ['north ridge', 'north river'] },
      },
      required: ['temperature_celsius', 'measured_by_station'],
      additionalProperties: false,
    },
    strict: true,
  },
}
const calls: Partial<GenerateJob> = {
  prompt: {
    kind: 'chat',
    messages: [{ role: 'user', content: 'hi' }],
    tools: [record],
    toolChoice: { mode: 'required' },
  },
}
const regex: Partial<GenerateJob> = {
  grammar: { type: 'regex', pattern: '(The answer is: (yes|yesterday|no)[.] ){2}Goodbye[.]' },
}

const job = (seed: number, change: Partial<GenerateJob>): GenerateJob => ({
  model: 'default',
  prompt: { kind: 'chat', messages: [{ role: 'user', content: `hello ${seed}` }] },
  n: 1,
  maxTokens: 200,
  sampling: { seed },
  stop: [],
  ...change,
})

/** What a reader keeps of the events: pieces of one kind joined, usage without times, call ids left out. */
function kept(events: readonly GenerateEvent[], n: number) {
  return Array.from({ length: n }, (_, index) => {
    const own = events.filter(e => 'index' in e && e.index === index)
    const said = own.map(e =>
      e.kind === 'text' || e.kind === 'reasoning'
        ? e.text
        : e.kind === 'tool_call_delta'
          ? `${e.name ?? ''}${e.arguments}`
          : '',
    )
    return {
      said: said.join(''),
      logprobs: own.flatMap(e =>
        e.kind !== 'prompt_logprobs' && 'logprobs' in e ? (e.logprobs ?? []) : [],
      ),
      finish: own.flatMap(e => (e.kind === 'finish' ? [{ ...e, seq: 0 }] : [])),
      usage: events.flatMap(e =>
        e.kind === 'usage' ? [e.promptTokens, e.completionTokens, e.reasoningTokens] : [],
      ),
    }
  })
}

test.each<[string, Partial<GenerateJob>]>([
  ['a call', calls],
  ['a call with log-probabilities', { ...calls, logprobs: { top: 2 } }],
  ['a language', regex],
  ['a language with log-probabilities, three choices', { ...regex, n: 3, logprobs: { top: 1 } }],
  ['scored prompts', { ...regex, logprobs: { top: 1 }, promptLogprobs: true }],
  ['a stop string inside forced text', { ...regex, stop: ['answ'] }],
  ['every limit of tokens', { ...regex, maxTokens: 17 }],
  ['a limit of one token', { ...regex, maxTokens: 1 }],
  ['penalties', { ...regex, sampling: { seed: 3, frequencyPenalty: 1, repetitionPenalty: 1.2 } }],
  [
    'a closed block of reasoning',
    {
      prompt: { kind: 'chat', messages: [{ role: 'user', content: 'hi<think>\n' }] },
      maxReasoningTokens: 3,
      maxTokens: 40,
    },
  ],
  ...[4, 5, 6].map((maxTokens): [string, Partial<GenerateJob>] => [
    `a block that is cut at ${maxTokens} tokens, while it is closed`,
    {
      prompt: { kind: 'chat', messages: [{ role: 'user', content: 'hi<think>\n' }] },
      maxReasoningTokens: 3,
      maxTokens,
    },
  ]),
])('the same with and without jumps: %s', async (_name, change) => {
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
