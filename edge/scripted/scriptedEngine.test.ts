import { describe, expect, test } from 'vitest'
import type { GenerateJob } from '../engine.ts'
import { createCollector } from '../jobs/collect.ts'
import { createScriptedEngine, type ScriptedOptions, scriptedModel } from './scriptedEngine.ts'

const base: GenerateJob = {
  model: 'default',
  prompt: { kind: 'text', prompts: ['Once upon'] },
  n: 1,
  sampling: {},
  stop: [],
}
const never = new AbortController().signal

async function run(job: Partial<GenerateJob>, options: ScriptedOptions = {}) {
  const accepted = await createScriptedEngine(options).submit({ ...base, ...job }, never)
  const numPrompts = job.prompt?.kind === 'text' ? job.prompt.prompts.length : 1
  const collector = createCollector((job.n ?? 1) * numPrompts)
  const seqs: number[] = []
  for await (const events of accepted.events) {
    seqs.push(...events.map(({ seq }) => seq))
    collector.add(events)
  }
  expect(seqs).toEqual(seqs.map((_, i) => i))
  return { accepted, ...collector.result() }
}
const texts = async (job: Partial<GenerateJob>, options?: ScriptedOptions) =>
  (await run(job, options)).choices.map(({ text }) => text)

describe('scripted engine', () => {
  test('text follows from prompt, seed and choice', async () => {
    const [first] = await texts({})
    expect(await texts({})).toEqual([first])
    expect(await texts({ sampling: { seed: 1 } })).not.toEqual([first])
    expect(await texts({ prompt: { kind: 'text', prompts: ['x', 'Once upon'] } })).toContain(first)
    expect(new Set(await texts({ n: 3 })).size).toBe(3)
  })

  test('length limits and usage', async () => {
    const { choices, usage, accepted } = await run({ maxTokens: 3, n: 2 })
    expect(choices.map(({ reason }) => reason)).toEqual(['length', 'length'])
    expect(usage).toMatchObject({ completionTokens: 6, promptTokens: accepted.promptTokens })
    const long = await run({ ignoreEos: true, maxTokens: 500 })
    expect(long.usage.completionTokens).toBe(500)
    expect((await run({ maxTokens: 0 })).choices[0]).toMatchObject({ text: '', reason: 'length' })
  })

  test('stop strings never leak, whole or in part', async () => {
    const reply = () => 'one two th three end'
    expect(await texts({ stop: ['three'] }, { reply })).toEqual(['one two th '])
    expect(await texts({ stop: ['d!', 'zzz'] }, { reply })).toEqual(['one two th three end'])
  })

  test('only complete characters are sent', async () => {
    const accepted = await createScriptedEngine({ reply: () => 'é😀' }).submit(base, never)
    const pieces: string[] = []
    for await (const events of accepted.events) {
      for (const event of events) if (event.kind === 'text') pieces.push(event.text)
    }
    expect(pieces).toEqual(['é', '😀'])
  })

  test('prompt logprobs cover the prompt', async () => {
    const { choices } = await run({ promptLogprobs: true, logprobs: { top: 2 }, maxTokens: 1 })
    const [first, ...rest] = choices[0]?.promptLogprobs ?? []
    expect(first?.logprob).toBeNull()
    expect(rest.every(({ logprob, top }) => logprob !== null && top.length === 2)).toBe(true)
  })

  test('refusals', async () => {
    const refused = (job: Partial<GenerateJob>, options?: ScriptedOptions) =>
      expect(run(job, options)).rejects
    await refused({ model: 'gpt' }).toMatchObject({ kind: 'model_not_found' })
    await refused({ maxTokens: 9999 }).toMatchObject({ kind: 'context_length' })
    await refused({}, { models: [{ ...scriptedModel, status: 'loading' }] }).toMatchObject({
      kind: 'loading',
    })
    await refused({}, { maxRunning: 0, maxWaiting: 0 }).toMatchObject({ kind: 'busy' })
  })

  test('queued jobs run in order, and leave the queue when aborted', async () => {
    const engine = createScriptedEngine({ maxRunning: 1, maxWaiting: 2 })
    const [a, b] = [new AbortController(), new AbortController()]
    const first = await engine.submit(base, a.signal)
    const second = await engine.submit(base, b.signal)
    const third = await engine.submit(base, never)
    expect([first, second, third].map(job => job.queuePosition)).toEqual([0, 0, 1])
    await expect(engine.submit(base, never)).rejects.toMatchObject({ kind: 'busy' })
    b.abort()
    a.abort()
    let numBatches = 0
    for await (const _ of third.events) numBatches++
    expect(numBatches).toBeGreaterThan(1)
    expect([engine.numActive, engine.numAborted]).toEqual([0, 2])
  })
})
