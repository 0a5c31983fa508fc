import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { GenerateEvent } from '../engine.ts'
import type { JobRun } from './jobRun.ts'
import { type StreamEncoder, sseResponse } from './sse.ts'

/** Writes texts as they are; a usage event ends the stream. */
function textEncoder(): StreamEncoder {
  let end: StreamEncoder['end']
  return {
    encode(events) {
      if (events.some(event => event.kind === 'usage')) end = 'completed'
      return events.map(event => (event.kind === 'text' ? event.text : '')).join('')
    },
    fail(error) {
      end = 'error'
      return `error: ${error.message}`
    },
    get end() {
      return end
    },
    usage: undefined,
  }
}

const text = (value: string): GenerateEvent => ({
  v: 1,
  seq: 0,
  kind: 'text',
  index: 0,
  text: value,
})
const usage = { v: 1, seq: 0, kind: 'usage' } as GenerateEvent

function start(events: AsyncGenerator<GenerateEvent[]>, keepAliveMs = 1000) {
  const log: unknown[] = []
  const life = new AbortController()
  const run: JobRun = {
    accepted: {
      jobId: '',
      model: '',
      fingerprint: null,
      promptTokens: 0,
      cachedTokens: 0,
      queuePosition: 0,
      events,
    },
    events,
    abort: () => life.abort(),
    release: () => {},
    signal: life.signal,
  }
  const { body } = sseResponse(run, textEncoder(), {
    keepAliveMs,
    scope: {
      answerHeaders: () => ({}),
      tokensSent() {},
      completionTokens: undefined,
      reportInternalError: error => log.push(error),
      end: how => log.push(how),
    },
    beforeEnd: undefined,
  })
  const reader = (body as ReadableStream<Uint8Array>).getReader()
  const read = async () => new TextDecoder().decode((await reader.read()).value)
  return { run, reader, read, log }
}

describe('sse', () => {
  beforeEach(() => vi.useFakeTimers())
  afterEach(() => vi.useRealTimers())

  test('one write per step, steps of nothing are not written', async () => {
    const { read, reader, log, run } = start(
      (async function* () {
        yield [text('a'), text('b')]
        yield [text('')]
        yield [text('c'), usage]
      })(),
    )
    expect([await read(), await read(), (await reader.read()).done]).toEqual(['ab', 'c', true])
    expect([log, run.signal.aborted, vi.getTimerCount()]).toEqual([['completed'], false, 0])
  })

  test('events are pulled: a reader that stops stops the engine', async () => {
    let numTaken = 0
    const { read, reader } = start(
      (async function* () {
        for (;;) yield [text(String(++numTaken))]
      })(),
    )
    await vi.advanceTimersByTimeAsync(500)
    expect(numTaken).toBe(0)
    await read()
    await vi.advanceTimersByTimeAsync(500)
    expect(numTaken).toBe(1)
    await reader.cancel()
  })

  test('cancelling ends the job and runs its cleanup', async () => {
    let cleaned = false
    const { read, reader, run, log } = start(
      (async function* () {
        try {
          for (;;) yield [text('a')]
        } finally {
          cleaned = true
        }
      })(),
    )
    await read()
    await reader.cancel()
    expect([run.signal.aborted, cleaned, log, vi.getTimerCount()]).toEqual([
      true,
      true,
      ['client_disconnected'],
      0,
    ])
  })

  test('silence is filled with comments, activity is not', async () => {
    const { read, reader } = start(
      (async function* () {
        await new Promise(resolve => setTimeout(resolve, 2500))
        for (let i = 0; i < 4; i++) {
          yield [text('x')]
          await new Promise(resolve => setTimeout(resolve, 600))
        }
        yield [usage]
      })(),
    )
    const all: string[] = []
    const reading = (async () => {
      for (let piece = await read(); piece !== ''; piece = await read()) all.push(piece)
    })()
    await vi.advanceTimersByTimeAsync(10_000)
    await reading
    expect(all).toEqual([':\n\n', ':\n\n', 'x', 'x', 'x', 'x'])
    expect(await reader.closed).toBeUndefined()
  })

  test('a reader that takes nothing for a minute is told so when it comes back; the run ends', async () => {
    const { read, reader, log, run } = start(
      (async function* () {
        for (;;) yield [text('a')]
      })(),
      10_000,
    )
    await read()
    await vi.advanceTimersByTimeAsync(50_000)
    expect(await read()).toBe('a')
    await vi.advanceTimersByTimeAsync(50_000)
    expect(run.signal.aborted).toBe(false)
    await vi.advanceTimersByTimeAsync(20_000)
    expect([run.signal.aborted, log, vi.getTimerCount()]).toEqual([true, ['error'], 0])
    expect(await read()).toBe('error: The reader took nothing for 60 s.')
    expect((await reader.read()).done).toBe(true)
  })

  test.each([
    ['a thrown error', () => Promise.reject(new Error('secret')), 'The server had an error'],
    ['an end without usage', () => Promise.resolve(), 'ended the job early'],
  ])('%s becomes an error event', async (_, act, message) => {
    const { read, reader, log, run } = start(
      (async function* () {
        yield [text('a')]
        await act()
      })(),
    )
    expect(await read()).toBe('a')
    expect(await read()).toContain(message)
    expect((await reader.read()).done).toBe(true)
    expect([log.at(-1), run.signal.aborted]).toEqual(['error', true])
    expect(log[0]).toBeInstanceOf(Error)
  })
})
