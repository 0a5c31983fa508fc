import { describe, expect, it } from 'vitest'
import type { GenerateJob } from '../../edge/engine.ts'
import { collectEvents } from '../../test/support/fakeEngine.ts'
import {
  baseJob,
  expectIdle,
  neverAborted,
  readAll,
  refusal,
  setUp,
  textAlone,
  textOf,
  tokensAlone,
} from '../../test/support/wordEngine.ts'

describe('jobs of a LocalEngine end', () => {
  it('frees the pages of a job whose reader leaves', async () => {
    const { engine } = setUp()
    const { events } = await engine.submit({ ...baseJob, ignoreEos: true }, neverAborted)
    for await (const _ of events) break
    await expectIdle(engine)
  })

  it('pauses a job whose reader lags, and goes on when it reads', async () => {
    const { engine } = setUp()
    const job: GenerateJob = {
      ...baseJob,
      n: 8,
      maxTokens: 100,
      ignoreEos: true,
      prompt: { kind: 'text', prompts: ['slow'] },
    }
    const { events } = await engine.submit(job, neverAborted)
    let numTokens = -1
    const numNew = () => {
      const before = numTokens
      numTokens = engine.stats().generatedTokens
      return numTokens > 0 ? numTokens - before : -1
    }
    await expect.poll(numNew, { interval: 100 }).toBe(0)
    expect(numTokens).toBeLessThan(400)
    const other = { ...baseJob, prompt: { kind: 'text' as const, prompts: ['other'] } }
    expect(textOf(await collectEvents(engine, other))).toBe(textAlone(other, 'other'))
    const all = (await readAll(events)).flat()
    for (let c = 0; c < 8; c++) expect(textOf(all, c)).toBe(textAlone(job, 'slow', c))
    await expectIdle(engine)
  })

  it('drops a job whose reader takes nothing for long', async () => {
    const { engine } = setUp({ stallMs: 40 })
    const job: GenerateJob = { ...baseJob, n: 8, maxTokens: 100, ignoreEos: true }
    const { events } = await engine.submit(job, neverAborted)
    await expect
      .poll(() => engine.stats())
      .toMatchObject({ running: 0, waiting: 0, kvPagesUsed: 0 })
    const all = (await readAll(events)).flat()
    expect(all.at(-1)).toMatchObject({ kind: 'error', error: { kind: 'timeout' } })
  })

  it('lets others go on when it drops a job whose sequences held every slot', async () => {
    const { engine } = setUp({
      stallMs: 40,
      scheduler: { maxSequences: 4, maxSlots: 4, maxBatchedTokens: 32 },
    })
    await engine.submit({ ...baseJob, n: 4, maxTokens: 100, ignoreEos: true }, neverAborted)
    const other = { ...baseJob, prompt: { kind: 'text' as const, prompts: ['other'] } }
    expect(textOf(await collectEvents(engine, other))).toBe(textAlone(other, 'other'))
    await engine.dispose()
  })

  it('ends jobs with an error when their slots cannot be opened', async () => {
    const { engine, native } = setUp()
    native.openSlot = () => {
      throw new Error('bias for token 1000000')
    }
    const { events } = await engine.submit(baseJob, neverAborted)
    const all = (await readAll(events)).flat()
    expect(all.at(-1)).toMatchObject({
      kind: 'error',
      error: { kind: 'internal', message: expect.stringContaining('bias for token') },
    })
    await engine.dispose()
  })

  it('ends running jobs with an error when a step fails, and takes no more', async () => {
    const { engine, native } = setUp()
    native.beforeForward = () => {
      if (native.numForwards >= 5) throw new Error('op 3 broke')
    }
    const all = await collectEvents(engine, { ...baseJob, ignoreEos: true })
    expect(all.at(-1)).toMatchObject({ kind: 'error', error: { kind: 'internal' } })
    expect(await engine.health()).toMatchObject({ ready: false, reason: 'failed' })
    expect(await refusal(engine.submit(baseJob, neverAborted))).toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining('op 3 broke'),
    })
    expect((await engine.models())[0]?.status).toBe('failed')
  })

  it('ends running jobs with an error without a text worker, and takes no more', async () => {
    const lost = Promise.withResolvers<Error>()
    const { engine, native } = setUp({}, { lost: lost.promise })
    native.beforeForward = () => {
      if (native.numForwards === 5) lost.resolve(new Error('no threads'))
    }
    const all = await collectEvents(engine, { ...baseJob, ignoreEos: true })
    expect(all.at(-1)).toMatchObject({ kind: 'error', error: { kind: 'internal' } })
    // The step under way comes to its end.
    await expectIdle(engine)
    const failed = { ready: false, reason: 'failed', detail: 'no threads' }
    expect(await engine.health()).toMatchObject(failed)
    expect(await refusal(engine.submit(baseJob, neverAborted))).toMatchObject({
      kind: 'unavailable',
      message: 'The model is not available: no threads.',
    })
  })

  it('ends a job whose logits are not numbers, and serves the others', async () => {
    const { engine, native } = setUp()
    const job = { ...baseJob, maxTokens: 100, ignoreEos: true }
    const third = tokensAlone(job, 'a prompt')[2]
    native.replaceToken = token => (token === third ? -1 : token)
    const all = await collectEvents(engine, job)
    expect(all.at(-1)).toMatchObject({ kind: 'error', error: { kind: 'internal' } })
    expect(await engine.health()).toMatchObject({ ready: true })
    await expectIdle(engine)
  })

  it('ends a job whose token breaks its grammar, and serves the others', async () => {
    const { engine, native } = setUp()
    const refused = 7
    native.replaceToken = token => (native.numForwards > 3 ? refused : token)
    const all = await collectEvents(engine, {
      ...baseJob,
      grammar: { type: 'regex', pattern: '(a1 |b2 ){30}' },
    })
    expect(all.at(-1)).toMatchObject({ kind: 'error', error: { kind: 'internal' } })
    native.replaceToken = token => token
    expect(await engine.health()).toMatchObject({ ready: true })
    expect(textOf(await collectEvents(engine, baseJob))).toBe(textAlone(baseJob, 'a prompt'))
    await expectIdle(engine)
    await engine.dispose()
  })

  it('finishes what it accepted when draining, and refuses the rest', async () => {
    const { engine } = setUp()
    const accepted = await engine.submit(baseJob, neverAborted)
    const drained = engine.drain(10_000)
    expect(await refusal(engine.submit(baseJob, neverAborted))).toMatchObject({ kind: 'draining' })
    expect(await engine.health()).toMatchObject({ ready: false, reason: 'draining' })
    const all = (await readAll(accepted.events)).flat()
    expect(textOf(all)).toBe(textAlone(baseJob, 'a prompt'))
    await drained
    await engine.dispose()
  })

  it('ends jobs that outlast the drain, or the engine', async () => {
    const { engine } = setUp()
    const job = { ...baseJob, maxTokens: 100, ignoreEos: true }
    const first = collectEvents(engine, job)
    await new Promise(resolve => setImmediate(resolve))
    await engine.drain(1)
    expect((await first).at(-1)).toMatchObject({ kind: 'error', error: { kind: 'draining' } })
    const other = setUp()
    const second = collectEvents(other.engine, job)
    await new Promise(resolve => setImmediate(resolve))
    await other.engine.dispose()
    expect((await second).at(-1)).toMatchObject({ kind: 'error', error: { kind: 'unavailable' } })
  })
})
