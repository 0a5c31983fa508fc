import { afterAll, describe, expect, test } from 'vitest'
import type {
  ChatPrompt,
  GenerateEvent,
  GenerateJob,
  ToolDefinition,
} from '../../../edge/engine.ts'
import { controls, encode, reading, text, vocabSize } from '../../../test/support/asciiText.ts'
import { collectEvents, fakeEngine } from '../../../test/support/fakeEngine.ts'
import { bannedOpeners } from './outputRules.ts'

const { engine } = fakeEngine(text, { reading, maxModelLen: 600, vocabSize })
afterAll(() => engine.dispose())

const weather: ToolDefinition = {
  type: 'function',
  function: {
    name: 'weather',
    parameters: {
      type: 'object',
      properties: {
        city: { type: 'string', pattern: '^[a-z]{3,9}$' },
        days: { type: 'integer', minimum: 1, maximum: 7 },
      },
      required: ['city', 'days'],
      additionalProperties: false,
    },
    strict: true,
  },
}

function job(
  seed: number,
  prompt: Partial<ChatPrompt>,
  change: Partial<GenerateJob> = {},
): GenerateJob {
  return {
    model: 'default',
    prompt: { kind: 'chat', messages: [{ role: 'user', content: `hello ${seed}` }], ...prompt },
    n: 1,
    maxTokens: 200,
    sampling: { seed },
    stop: [],
    ...change,
  }
}

function gather(events: GenerateEvent[]) {
  const all = {
    text: '',
    reasoning: '',
    calls: [] as { name: string; arguments: string }[],
    reason: '',
  }
  for (const event of events) {
    if (event.kind === 'text' || event.kind === 'reasoning') all[event.kind] += event.text
    if (event.kind === 'finish') all.reason = event.reason
    if (event.kind !== 'tool_call_delta') continue
    if (event.name !== undefined) all.calls.push({ name: event.name, arguments: '' })
    const call = all.calls[event.call]
    if (call) call.arguments += event.arguments
  }
  return all
}

const run = async (request: GenerateJob) => gather(await collectEvents(engine, request))
const seeds = Array.from({ length: 20 }, (_, i) => i)

describe('outputs of a model that says anything, held to', () => {
  test('required calls: reasoning or not, then calls that follow their schema', async () => {
    for (const seed of seeds) {
      const said = await run(job(seed, { tools: [weather], toolChoice: { mode: 'required' } }))
      expect(said.reason).toBe('tool_calls')
      expect(said.text).toBe('')
      for (const call of said.calls) {
        expect(call.name).toBe('weather')
        const { city, days } = JSON.parse(call.arguments)
        expect(city).toMatch(/^[a-z]{3,9}$/)
        expect([1, 2, 3, 4, 5, 6, 7]).toContain(days)
      }
    }
  })

  test.each([1, 2, 3, 5, 8, 13, 20, 30])(
    'required calls cut after %i tokens: no text, every token listed',
    async maxTokens => {
      for (const seed of seeds) {
        const change = { maxTokens, logprobs: { top: 0 } }
        const prompt = { tools: [weather], toolChoice: { mode: 'required' as const } }
        const events = await collectEvents(engine, job(seed, prompt, change))
        expect(gather(events)).toMatchObject({ text: '', reason: 'length' })
        const listed = events.flatMap(e => ('logprobs' in e ? (e.logprobs ?? []) : []))
        expect(listed).toHaveLength(maxTokens)
      }
    },
  )

  test('one call where one is all that may be', async () => {
    for (const seed of seeds) {
      const prompt = {
        tools: [weather],
        toolChoice: { mode: 'required' as const },
        parallelToolCalls: false,
      }
      expect((await run(job(seed, prompt))).calls).toHaveLength(1)
    }
  })

  test('a grammar, after reasoning that is free', async () => {
    let numReasoned = 0
    for (const seed of seeds) {
      const grammar = { type: 'regex' as const, pattern: '(yes|no), [a-z]{2}' }
      const content = seed % 2 === 0 ? '<think>\n' : 'hello'
      const said = await run(
        job(seed, { messages: [{ role: 'user', content }] }, { grammar, maxTokens: 60 }),
      )
      expect(said.text).toMatch(/^(yes|no), [a-z]{2}$/)
      expect(said.reason).toBe('stop')
      if (said.reasoning !== '') numReasoned++
    }
    expect(numReasoned).toBeGreaterThan(5)
  })

  test('the choices of one prompt follow a grammar each for itself', async () => {
    const grammar = { type: 'regex' as const, pattern: '[a-z]{10,30}!' }
    const events = await collectEvents(engine, job(3, {}, { grammar, n: 5 }))
    const texts = [0, 1, 2, 3, 4].map(index =>
      events.map(e => (e.kind === 'text' && e.index === index ? e.text : '')).join(''),
    )
    for (const choice of texts) expect(choice).toMatch(/^[a-z]{10,30}!$/)
    expect(new Set(texts).size).toBe(5)
  })

  test.each([0, 1, 10])('a budget of %i tokens of reasoning', async maxReasoningTokens => {
    let numClosed = 0
    for (const seed of seeds) {
      const messages = [{ role: 'user', content: `hello ${seed}<think>\n` }]
      const events = await collectEvents(
        engine,
        job(seed, { messages }, { maxReasoningTokens, maxTokens: 100 }),
      )
      const said = gather(events)
      expect(said.reasoning.trim().length).toBeLessThanOrEqual(maxReasoningTokens)
      const usage = events.find(e => e.kind === 'usage')
      const closing = encode('\n</think>\n\n').length
      const used = usage?.kind === 'usage' ? usage.reasoningTokens : 0
      // White space after the block, which the model may add to, is markup.
      if (used >= maxReasoningTokens + closing) numClosed++
    }
    expect(numClosed).toBeGreaterThan(10)
  })

  test('no calls: what would open one is never drawn', () => {
    const tokens = {
      reading,
      isSpecial: (id: number) => id >= 128 || id === 0,
      textOf: (id: number) => controls[id - 128] ?? '',
    }
    expect(
      bannedOpeners(job(1, { tools: [weather], toolChoice: { mode: 'none' } }), tokens),
    ).toEqual([128])
    expect(bannedOpeners(job(1, { tools: [weather] }), tokens)).toEqual([])
  })
})

test.each<[string, Partial<ChatPrompt>, Partial<GenerateJob>, object]>([
  [
    'a broken schema',
    {},
    { grammar: { type: 'json_schema', schema: { type: 'x' } } },
    { kind: 'invalid_grammar', param: 'grammar' },
  ],
  [
    'a tool whose schema cannot be enforced',
    {
      tools: [
        {
          type: 'function',
          function: { name: 'f', strict: true, parameters: { type: 'object', not: {} } },
        },
      ],
    },
    {},
    { kind: 'invalid_grammar', param: 'prompt.tools' },
  ],
  [
    'required calls of nothing',
    { toolChoice: { mode: 'required' } },
    {},
    { kind: 'invalid', param: 'prompt.toolChoice' },
  ],
  [
    'required calls with a grammar',
    { tools: [weather], toolChoice: { mode: 'required' } },
    { grammar: { type: 'json_object' } },
    { kind: 'invalid', param: 'prompt.toolChoice' },
  ],
  [
    'a grammar without an end',
    {},
    { grammar: { type: 'json_object' }, ignoreEos: true },
    { kind: 'invalid', param: 'ignoreEos' },
  ],
  [
    'an unknown language',
    {},
    { grammar: { type: 'peg' } as never },
    { kind: 'unsupported', param: 'grammar.type' },
  ],
])('refuses %s', async (_name, prompt, change, error) => {
  await expect(
    engine.submit(job(1, prompt, change), new AbortController().signal),
  ).rejects.toMatchObject(error)
})
