import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { GenerateEvent, GenerateJob, TokenLogprob } from '../../edge/engine.ts'
import { collectEvents } from '../../test/support/fakeEngine.ts'
import { loadGolden } from '../../test/support/goldenEngine.ts'
import type { LocalEngineLoadOptions } from './createLocalEngine.ts'
import type { LocalEngine } from './localEngine.ts'

/** Most of the text is certain, in many tokens; what is not depends on all tokens before. */
const pattern =
  '(The (quick|quiet) brown (fox|dog) jumps over the (lazy|lame) cat[.] ){2,5}Goodbye[.]'

const regex = new RegExp(`^${pattern}$`)

const job = (seed: number, change: Partial<GenerateJob> = {}): GenerateJob => ({
  model: '',
  prompt: { kind: 'text', prompts: [[60 + (seed % 3), 61, 62, 63, 64, 65, 66, 67, 68]] },
  n: 1,
  maxTokens: 200,
  grammar: { type: 'regex', pattern },
  logprobs: { top: 2 },
  stop: [],
  ...change,
  sampling: { temperature: 1.5, seed, ...change.sampling },
})

/** A job of each kind that forced tokens could upset. */
const changes: Partial<GenerateJob>[] = [
  {},
  { n: 3 },
  { promptLogprobs: true },
  { maxTokens: 23 },
  { stop: ['over the l'] },
  { sampling: { frequencyPenalty: 1, presencePenalty: 1, repetitionPenalty: 1.3 } },
  { sampling: { dry: { multiplier: 2, allowedLength: 1 } } },
  {
    grammar: {
      type: 'json_schema',
      schema: { enum: [{ temperature_celsius: 17 }, { at: 'noon' }] },
    },
  },
]
const jobs = Array.from({ length: 16 }, (_, i) => job(i, changes[i % changes.length]))

/** What is the same for the same seed, by choice. */
function said(events: readonly GenerateEvent[]) {
  const numTokens = events.find(e => e.kind === 'usage')?.completionTokens
  return [0, 1, 2].map(index => {
    const own = events.filter(e => 'index' in e && e.index === index)
    const finish = own.find(e => e.kind === 'finish')
    return {
      text: own.map(e => (e.kind === 'text' ? e.text : '')).join(''),
      tokens: own.flatMap((e): TokenLogprob[] =>
        e.kind === 'text' || e.kind === 'prompt_logprobs' ? (e.logprobs ?? []) : [],
      ),
      reason: finish?.reason,
      stopString: finish?.stopString,
      numTokens,
    }
  })
}

/** Of two kinds of tokenizers; the second has layers with a window. */
describe.each(['llama', 'gemma3'])('tokens that a grammar forces on %s', name => {
  const load = (change: Partial<LocalEngineLoadOptions>) => loadGolden(name, change)
  let alone: LocalEngine
  let expected: ReturnType<typeof said>[]
  beforeAll(async () => {
    alone = await load({ maxSeqs: 3, prefixCache: false, depth: 1 })
    expected = []
    for (const one of jobs) expected.push(said(await collectEvents(alone, one)))
  })
  afterAll(() => alone.dispose())

  it('spell the language, and are scored and counted as if they had been drawn', async () => {
    for (const [i, { n, prompt, promptLogprobs, grammar }] of jobs.entries()) {
      const [choice] = expected[i] ?? []
      if (choice === undefined || n > 1 || promptLogprobs || choice.stopString) continue
      const { text, tokens, reason, numTokens } = choice
      expect(Buffer.from(tokens.flatMap(({ bytes }) => bytes)).toString()).toBe(text)
      if (reason === 'stop' && grammar?.type === 'regex') expect(text).toMatch(regex)
      // The token that ends the text has no log-probability.
      expect(numTokens).toBe(tokens.length + (reason === 'stop' ? 1 : 0))
      const [ids] = prompt.kind === 'text' ? prompt.prompts : []
      const whole = [...(ids ?? []), ...tokens.map(({ id }) => id)].map(Number)
      const { grammar: _, ...free } = job(i, {
        prompt: { kind: 'text', prompts: [whole] },
        maxTokens: 0,
        promptLogprobs: true,
      })
      const [scored] = said(await collectEvents(alone, free))
      expect(scored?.tokens.slice(-tokens.length)).toEqual(tokens)
    }
  })

  it('are what slots have drawn: penalties know them', async () => {
    // No merge of the vocabulary has these letters: there is one way to write the text.
    const grammar = { type: 'regex' as const, pattern: '([QZX]JQJZ){12}' }
    const drawing = await load({ jumpAhead: false })
    for (let seed = 0; seed < 4; seed++) {
      const sampling = seed % 2 ? { frequencyPenalty: 2 } : { dry: { multiplier: 3 } }
      const one = job(seed, { grammar, sampling, logprobs: { top: 0 } })
      const drawn = said(await collectEvents(drawing, one))
      expect(drawn[0]?.tokens.length).toBe(60)
      expect(said(await collectEvents(alone, one))).toEqual(drawn)
    }
    await drawing.dispose()
  })

  it.each([
    ['together', {}],
    ['again, with prefixes found', {}],
    ['short of pages', { kvTokens: 256, maxModelLen: 240 }],
    ['in other chunks', { maxBatchedTokens: 24, maxSeqs: 8 }],
  ])('are the same %s', async (_, change) => {
    const engine = await load(change)
    for (const round of [1, 2]) {
      const aborts = jobs.map(() => new AbortController())
      const runs = jobs.map(async (one, i) => {
        const { events } = await engine.submit(one, aborts[i]?.signal ?? AbortSignal.abort())
        const all: GenerateEvent[] = []
        for await (const item of events) {
          all.push(...item)
          if (round === 1 && i % 7 === 6 && all.length > 4) aborts[i]?.abort()
        }
        return all
      })
      for (const [i, events] of (await Promise.all(runs)).entries()) {
        if (round === 2 || i % 7 !== 6) expect(said(events)).toEqual(expected[i])
      }
    }
    if ('kvTokens' in change) expect(engine.stats().preemptions).toBeGreaterThan(0)
    await expect.poll(() => engine.stats()).toMatchObject({ running: 0, kvPagesUsed: 0 })
    engine.checkInvariants()
    await engine.dispose()
  })
})
