import { describe, expect, it } from 'vitest'
import type { EngineError, GenerateEvent, GenerateJob } from '../../edge/engine.ts'
import { collectEvents } from '../../test/support/fakeEngine.ts'
import {
  baseJob,
  expectIdle,
  logprobsOf,
  neverAborted,
  pieces,
  promptIds,
  readAll,
  refusal,
  setUp,
  textAlone,
  textOf,
  tokensAlone,
} from '../../test/support/wordEngine.ts'
import { detokenize } from '../text/tokenizer/detokenizer.ts'
import { pieceBytes } from '../text/tokenizer/tokenPieces.ts'

describe('LocalEngine', () => {
  it.each([1, 2] as const)(
    'gives each of many streams the text it would have alone, depth %i',
    async depth => {
      const { engine } = setUp({ depth, scheduler: { numPages: 50 } })
      const runs = Array.from({ length: 16 }, async (_, i) => {
        const prompt = `${'shared beginning '.repeat(2)}${i}`
        const job: GenerateJob = {
          ...baseJob,
          prompt: { kind: 'text', prompts: [prompt] },
          sampling: { seed: i },
          ignoreEos: true,
        }
        const abort = new AbortController()
        const { events } = await engine.submit(job, abort.signal)
        const all: GenerateEvent[] = []
        for await (const item of events) {
          all.push(...item)
          if (i % 4 === 0 && all.length > 5) abort.abort()
        }
        if (i % 4 === 0)
          expect(all.some(e => e.kind === 'finish' || e.kind === 'usage')).toBe(false)
        else expect(textOf(all)).toBe(textAlone(job, prompt))
      })
      await Promise.all(runs)
      await expectIdle(engine)
    },
  )

  it('ends with a finish for each choice and then the usage', async () => {
    const { engine } = setUp()
    const prompts = ['first', 'the second prompt']
    const job: GenerateJob = { ...baseJob, prompt: { kind: 'text', prompts }, n: 3 }
    const events = await collectEvents(engine, job)
    for (let index = 0; index < 6; index++) {
      const prompt = prompts[Math.floor(index / 3)] ?? ''
      expect(textOf(events, index)).toBe(textAlone(job, prompt, index % 3))
      const tokens = tokensAlone(job, prompt, index % 3)
      expect(events).toContainEqual(
        expect.objectContaining({
          kind: 'finish',
          index,
          reason: tokens.at(-1) === 0 ? 'stop' : 'length',
        }),
      )
    }
    const completionTokens = [0, 1, 2, 3, 4, 5].reduce(
      (n, i) => n + tokensAlone(job, prompts[Math.floor(i / 3)] ?? '', i % 3).length,
      0,
    )
    expect(events.at(-1)).toMatchObject({
      kind: 'usage',
      promptTokens: 'first'.length + 'the second prompt'.length,
      cachedTokens: 0,
      completionTokens,
    })
    await expectIdle(engine)
  })

  it('reports what the prefix cache saved', async () => {
    const { engine } = setUp()
    const job = { ...baseJob, prompt: { kind: 'text' as const, prompts: ['x'.repeat(40)] } }
    await collectEvents(engine, job)
    const accepted = await engine.submit(job, neverAborted)
    expect(accepted).toMatchObject({ promptTokens: 40, cachedTokens: 32 })
    const events = (await readAll(accepted.events)).flat()
    expect(events.at(-1)).toMatchObject({ kind: 'usage', cachedTokens: 32 })
    const salted = await engine.submit({ ...job, cacheSalt: 'other' }, neverAborted)
    expect(salted.cachedTokens).toBe(0)
    await readAll(salted.events)
    await expectIdle(engine)
  })

  it('cuts at a stop string and never sends a part of it', async () => {
    const { engine } = setUp()
    const job = { ...baseJob, ignoreEos: true, maxTokens: 8 }
    while (tokensAlone(job, 'a prompt').some(id => id === 0 || id > 37)) {
      job.sampling = { seed: (job.sampling.seed ?? 0) + 1 }
    }
    const whole = textAlone(job, 'a prompt')
    const stop = whole.slice(13, 19)
    const events = await collectEvents(engine, {
      ...job,
      stop: ['nowhere', stop],
      logprobs: { top: 0 },
    })
    const cut = whole.indexOf(stop)
    expect(textOf(events)).toBe(whole.slice(0, cut))
    expect(events.at(-2)).toMatchObject({ kind: 'finish', reason: 'stop', stopString: stop })
    let length = 0
    const before = tokensAlone(job, 'a prompt').filter(id => {
      const start = length
      length += detokenize(pieces, [id], { skipSpecialTokens: true }).length
      return start < cut
    })
    expect(logprobsOf(events).map(l => l.id)).toEqual(before)
    await expectIdle(engine)
  })

  it('lists every sampled token once, in order, with its bytes', async () => {
    const { engine } = setUp()
    for (let seed = 0; seed < 30; seed++) {
      const job = { ...baseJob, sampling: { seed }, logprobs: { top: 1 } }
      const events = await collectEvents(engine, job)
      const logprobs = logprobsOf(events)
      expect(textOf(events)).toBe(textAlone(job, 'a prompt'))
      expect(logprobs.map(l => l.id)).toEqual(tokensAlone(job, 'a prompt').filter(id => id !== 0))
      for (const { id, bytes, logprob, top } of logprobs) {
        expect(bytes).toEqual([...pieceBytes(pieces, id)])
        expect(logprob).toBe(-id)
        expect(top).toHaveLength(1)
      }
    }
    await expectIdle(engine)
  })

  it('scores the prompt before its text, in whatever chunks', async () => {
    const { engine } = setUp()
    const prompt = 'a rather long prompt, longer than a step has logit rows'
    const job: GenerateJob = {
      ...baseJob,
      prompt: { kind: 'text', prompts: [prompt] },
      n: 2,
      logprobs: { top: 2 },
      promptLogprobs: true,
    }
    const events = await collectEvents(engine, job)
    const scored = events.flatMap(e => (e.kind === 'prompt_logprobs' ? e.logprobs : []))
    expect(scored.map(l => l.id)).toEqual([...promptIds(prompt)])
    expect(scored.map(l => l.logprob)).toEqual([
      null,
      ...Array.from(promptIds(prompt).slice(1), id => -id),
    ])
    const firstText = events.findIndex(e => e.kind === 'text')
    expect(events.findLastIndex(e => e.kind === 'prompt_logprobs')).toBeLessThan(firstText)
    expect(textOf(events, 1)).toBe(textAlone(job, prompt, 1))
    await expectIdle(engine)
  })

  it('computes a prompt that wants no output', async () => {
    const { engine } = setUp()
    const events = await collectEvents(engine, {
      ...baseJob,
      maxTokens: 0,
      n: 2,
      promptLogprobs: true,
    })
    const ends = events.filter(e => e.kind !== 'prompt_logprobs')
    expect(ends.map(e => e.kind)).toEqual(['finish', 'finish', 'usage'])
    expect(ends[0]).toMatchObject({ reason: 'length' })
    expect(ends[2]).toMatchObject({ completionTokens: 0 })
    await expectIdle(engine)
  })

  it('lists the only token of a prompt, which nothing predicts', async () => {
    const { engine } = setUp()
    const prompt: GenerateJob['prompt'] = { kind: 'text', prompts: ['x'] }
    const events = await collectEvents(engine, { ...baseJob, prompt, promptLogprobs: true })
    const scored = events.flatMap(e => (e.kind === 'prompt_logprobs' ? e.logprobs : []))
    expect(scored).toMatchObject([{ id: promptIds('x')[0], logprob: null, top: [] }])
    await expectIdle(engine)
  })

  it('shows progress while queued and in prefill', async () => {
    const { engine } = setUp({ scheduler: { maxSequences: 1, maxBatchedTokens: 32 } })
    const prompt = 'p'.repeat(100)
    const [, events] = await Promise.all([
      collectEvents(engine, { ...baseJob, ignoreEos: true }),
      collectEvents(engine, {
        ...baseJob,
        prompt: { kind: 'text', prompts: [prompt] },
        progress: true,
      }),
    ])
    const done = events.flatMap(e => (e.kind === 'progress' ? [e.promptTokensDone] : []))
    expect(done.length).toBeGreaterThan(3)
    expect(done).toEqual(done.toSorted((a, b) => a - b))
    expect(done[0]).toBe(0)
    await expectIdle(engine)
  })

  it.each<[string, Partial<GenerateJob>, Partial<EngineError>]>([
    [
      'a prompt too long',
      { prompt: { kind: 'text', prompts: ['p'.repeat(120)] } },
      { kind: 'context_length', message: expect.stringMatching(/120 tokens.*holds 120/) },
    ],
    [
      'an unknown field',
      { mood: 'x' } as Partial<GenerateJob>,
      { kind: 'unsupported', param: 'mood' },
    ],
    [
      'an unknown sampling field',
      { sampling: { mirostat: 1 } as GenerateJob['sampling'] },
      { kind: 'unsupported', param: 'sampling.mirostat' },
    ],
    [
      'a bias beyond the vocabulary',
      { sampling: { logitBias: [[40, 1]] } },
      { kind: 'invalid', param: 'sampling.logitBias' },
    ],
    [
      'more breakers than are looked for',
      { sampling: { dry: { multiplier: 1, sequenceBreakers: Array(101).fill('e') } } },
      { kind: 'invalid', param: 'sampling.dry.sequenceBreakers' },
    ],
    ['a temperature below 0', { sampling: { temperature: -1 } }, { param: 'sampling.temperature' }],
    ['a top_p of 0', { sampling: { topP: 0 } }, { param: 'sampling.topP' }],
    ['a token id beyond the vocabulary', { prompt: { kind: 'text', prompts: [[40]] } }, {}],
    ['no prompts', { prompt: { kind: 'text', prompts: [] } }, { param: 'prompt.prompts' }],
    [
      'no text in a chat',
      { prompt: { kind: 'chat', messages: [] } },
      { kind: 'invalid', param: 'prompt.messages' },
    ],
    [
      'a conversation the template refuses',
      { prompt: { kind: 'chat', messages: [{ role: 'user', content: 'REFUSE' }] } },
      { kind: 'invalid', param: 'prompt.messages', message: 'the template says no' },
    ],
    [
      'a token the model lacks',
      { prompt: { kind: 'text' as const, prompts: ['IMAGE'] } },
      { kind: 'invalid', param: 'prompt.prompts' },
    ],
    ['an empty stop string', { stop: [''] }, { kind: 'invalid', param: 'stop' }],
    ['more choices than can wait', { n: 59 }, { kind: 'invalid', param: 'n' }],
  ])('refuses %s', async (_, change, error) => {
    const { engine } = setUp()
    const found = await refusal(engine.submit({ ...baseJob, ...change }, neverAborted))
    expect(found).toMatchObject({ name: 'EngineError', ...error })
    await expectIdle(engine)
  })

  it('takes the end-of-text token for an empty prompt', async () => {
    const { engine } = setUp()
    const accepted = await engine.submit(
      { ...baseJob, prompt: { kind: 'text', prompts: [''] } },
      neverAborted,
    )
    expect(accepted.promptTokens).toBe(1)
    await readAll(accepted.events)
  })

  it('refuses with a time to come back when the queue is full', async () => {
    const { engine } = setUp({ scheduler: { maxSequences: 1, maxWaiting: 2 } })
    const job = { ...baseJob, maxTokens: 100, ignoreEos: true }
    const accepted = [1, 2, 3].map(() => engine.submit(job, neverAborted))
    await Promise.all(accepted)
    const error = await refusal(engine.submit(baseJob, neverAborted))
    expect(error).toMatchObject({ kind: 'busy' })
    expect(error.retryAfterMs).toBeGreaterThan(0)
    // Somebody else's share is not full.
    accepted.push(engine.submit({ ...baseJob, owner: 'another' }, neverAborted))
    for (const { events } of await Promise.all(accepted)) await readAll(events)
    await expectIdle(engine)
  })

  it('rejects with the reason of a signal aborted before acceptance', async () => {
    const { engine } = setUp()
    const reason = new Error('gone')
    expect(await refusal(engine.submit(baseJob, AbortSignal.abort(reason)))).toBe(reason)
    const abort = new AbortController()
    const submitted = engine.submit(baseJob, abort.signal)
    abort.abort(reason)
    expect(await refusal(submitted)).toBe(reason)
    await expectIdle(engine)
  })

  it('tokenizes and detokenizes', async () => {
    const { engine } = setUp()
    const job = { model: '', prompt: { kind: 'text' as const, text: 'ab' }, pieces: true }
    const { tokens, pieces: texts } = await engine.tokenize(job, neverAborted)
    expect(tokens).toEqual([...promptIds('ab')])
    expect(texts).toHaveLength(2)
    expect(await engine.detokenize({ model: '', tokens }, neverAborted)).toBe(texts?.join(''))
  })
})
