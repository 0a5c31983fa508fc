import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { GenerateEvent, GenerateJob, TokenLogprob } from '../../edge/engine.ts'
import { goldenPath, loadGolden } from '../../test/support/goldenEngine.ts'
import { loadNative } from '../loadNative.ts'
import type { LocalEngine } from './localEngine.ts'

interface Golden {
  cases: {
    name: string
    input_ids: number[]
    greedy: { tokens: number[]; margins: number[] }
  }[]
}

const models = ['llama', 'gemma3']

function isNativeThere(): boolean {
  try {
    loadNative()
    return true
  } catch (error) {
    console.log(
      `skipped without the native addon: ${error instanceof Error ? error.message : error}`,
    )
    return false
  }
}

async function collect(engine: LocalEngine, job: GenerateJob, abortAfter = Infinity) {
  const abort = new AbortController()
  const { events } = await engine.submit(job, abort.signal)
  const all: GenerateEvent[] = []
  for await (const item of events) {
    all.push(...item)
    if (all.length >= abortAfter) abort.abort()
  }
  return all
}

function sampled(events: GenerateEvent[], index = 0): TokenLogprob[] {
  return events.flatMap(e => (e.kind === 'text' && e.index === index ? (e.logprobs ?? []) : []))
}

const ids = (events: GenerateEvent[], index = 0) => sampled(events, index).map(l => l.id)

async function expectNothingHeld(engine: LocalEngine): Promise<void> {
  // A step past the last token may still be under way.
  await expect.poll(() => engine.stats()).toMatchObject({ running: 0, kvPagesUsed: 0 })
  engine.checkInvariants()
}

describe.skipIf(!isNativeThere())('LocalEngine on the addon', () => {
  describe.each(models)('%s', name => {
    let engine: LocalEngine
    let golden: Golden

    const job = (i: number): GenerateJob => ({
      model: '',
      prompt: { kind: 'text', prompts: [prompt(i)] },
      n: 1,
      maxTokens: 40,
      ignoreEos: true,
      sampling: { temperature: 1, topK: 0, topP: 1, seed: i },
      stop: [],
      logprobs: { top: 0 },
    })
    /** Prompts with beginnings in common, of 2 to 150 tokens. */
    const prompt = (i: number) => {
      const base = golden.cases[i % 2 === 0 ? 2 : 3]?.input_ids ?? []
      return [...base.slice(0, 1 + ((i * 37) % 150)), 50 + i]
    }

    beforeAll(async () => {
      golden = JSON.parse(await readFile(`${goldenPath(name)}/golden.json`, 'utf8'))
      engine = await loadGolden(name)
    })
    afterAll(() => engine.dispose())

    it('continues greedily as the reference implementation does', async () => {
      const reference = await loadGolden(name, { backend: 'reference' })
      for (const { input_ids, greedy } of golden.cases) {
        const events = await collect(reference, {
          ...job(0),
          prompt: { kind: 'text', prompts: [input_ids] },
          maxTokens: greedy.tokens.length,
          sampling: { temperature: 0 },
        })
        const close = greedy.margins.findIndex(margin => margin < 1e-3)
        const certain = close < 0 ? greedy.tokens.length : close
        expect(ids(events).slice(0, certain)).toEqual(greedy.tokens.slice(0, certain))
      }
      await reference.dispose()
    })

    it('gives 16 streams at once the text each has alone, while others are aborted', async () => {
      const alone: number[][] = []
      const single = await loadGolden(name, { maxSeqs: 1, prefixCache: false, depth: 1 })
      for (let i = 0; i < 16; i++) alone.push(ids(await collect(single, job(i))))
      await single.dispose()
      const together = await Promise.all(
        alone.map((_, i) => collect(engine, job(i), i % 4 === 3 ? 10 : Infinity)),
      )
      for (const [i, events] of together.entries()) {
        if (i % 4 === 3) expect(events.some(e => e.kind === 'usage')).toBe(false)
        else expect(ids(events)).toEqual(alone[i])
      }
      await expectNothingHeld(engine)
      // Again, now that prompts are in the prefix cache.
      const again = await Promise.all(alone.map((_, i) => collect(engine, job(i))))
      expect(again.map(events => ids(events))).toEqual(alone)
      expect(engine.stats().cachedTokens).toBeGreaterThan(0)
      await expectNothingHeld(engine)
    })

    it('gives the same text when sequences lose their pages and recompute', async () => {
      const growing = [0, 1, 2, 3, 4].map(i => ({
        ...job(i),
        prompt: { kind: 'text' as const, prompts: [[60, 61, 62, 63, 70 + i]] },
        maxTokens: 150,
      }))
      const roomy = await Promise.all(growing.map(g => collect(engine, g)))
      const tight = await loadGolden(name, { kvTokens: 256, maxModelLen: 200 })
      const squeezed = await Promise.all(growing.map(g => collect(tight, g)))
      expect(tight.stats().preemptions).toBeGreaterThan(0)
      expect(squeezed.map(e => ids(e))).toEqual(roomy.map(e => ids(e)))
      await expectNothingHeld(tight)
      await tight.dispose()
    })

    it('gives choices their own text from one prefill', async () => {
      const three = { ...job(2), n: 3 }
      const events = await collect(engine, three)
      const choices = [0, 1, 2].map(c => ids(events, c))
      expect(new Set(choices.map(String)).size).toBe(3)
      expect(choices[0]).toEqual(ids(await collect(engine, job(2))))
      const beside = await Promise.all([collect(engine, three), collect(engine, job(4))])
      expect([0, 1, 2].map(c => ids(beside[0], c))).toEqual(choices)
      await expectNothingHeld(engine)
    })

    it('scores a text bitwise as it was generated', async () => {
      const generated = sampled(await collect(engine, job(6)))
      const whole = [...prompt(6), ...generated.map(l => l.id)]
      const events = await collect(engine, {
        ...job(6),
        prompt: { kind: 'text', prompts: [whole] },
        maxTokens: 0,
        promptLogprobs: true,
      })
      const scored = events.flatMap(e => (e.kind === 'prompt_logprobs' ? e.logprobs : []))
      expect(scored.map(l => l.id)).toEqual(whole)
      expect(scored.slice(prompt(6).length).map(l => l.logprob)).toEqual(
        generated.map(l => l.logprob),
      )
    })
  })
})
