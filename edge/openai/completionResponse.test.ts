import { describe, expect, test } from 'vitest'
import type { GenerateEvent, TokenLogprob } from '../engine.ts'
import { createCollector } from '../jobs/collect.ts'
import type { CompletionFormat } from './completionRequest.ts'
import { completionResponse } from './completionResponse.ts'
import { CompletionStream } from './completionStream.ts'

const reply = { id: 'cmpl-1', created: 7, model: 'm', fingerprint: null }
const plain: CompletionFormat = {
  prompts: ['Hé '],
  echo: false,
  logprobs: false,
  n: 1,
  candidates: 1,
  streamUsage: 'none',
  strictOpenai: true,
}
const utf8 = new TextEncoder()
const token = (text: string, logprob: number | null): TokenLogprob => ({
  id: 1,
  token: text,
  bytes: [...utf8.encode(text)],
  logprob,
  top: logprob === null ? [] : [{ id: 2, token: 'x', bytes: [120], logprob: -0.1 }],
})
/** As of a prompt that took two steps to prefill. */
const prompt = [[token('Hé', null)], [token(' ', -1)]].map(
  (logprobs): GenerateEvent => ({ v: 1, seq: 0, kind: 'prompt_logprobs', index: 0, logprobs }),
)
const text = (index: number, value: string, logprob: number): GenerateEvent => ({
  v: 1,
  seq: 0,
  kind: 'text',
  index,
  text: value,
  logprobs: [token(value, logprob)],
})
const finish = (index: number): GenerateEvent => ({
  v: 1,
  seq: 0,
  kind: 'finish',
  index,
  reason: 'length',
})
const usage: GenerateEvent = {
  v: 1,
  seq: 0,
  kind: 'usage',
  promptTokens: 2,
  cachedTokens: 0,
  completionTokens: 3,
  reasoningTokens: 0,
  promptMs: 0,
  completionMs: 0,
}

function whole(format: CompletionFormat, echoes: string[], events: GenerateEvent[]) {
  const collector = createCollector(format.prompts.length * format.candidates)
  collector.add(events)
  return completionResponse(reply, format, echoes, collector.result())
}

function streamed(format: CompletionFormat, echoes: string[], steps: GenerateEvent[][]) {
  const stream = new CompletionStream(reply, format, echoes, 0)
  const frames = steps
    .map(step => stream.encode(step))
    .join('')
    .split('\n\n')
  expect(frames.splice(-2)).toEqual(['data: [DONE]', ''])
  return frames.map(frame => JSON.parse(frame.replace(/^data: /, '')))
}

describe('completion', () => {
  test('plain', () => {
    expect(whole(plain, [], [text(0, ' a', -1), finish(0), usage])).toMatchObject({
      id: 'cmpl-1',
      object: 'text_completion',
      created: 7,
      model: 'm',
      system_fingerprint: null,
      choices: [{ index: 0, text: ' a', logprobs: null, finish_reason: 'length' }],
      usage: { prompt_tokens: 2, completion_tokens: 3, total_tokens: 5 },
    })
  })

  const echo = { ...plain, echo: true, logprobs: true }
  const echoEvents = [...prompt, text(0, 'ab', -2), text(0, 'c', -3), finish(0), usage]
  const expected = {
    tokens: ['Hé', ' ', 'ab', 'c'],
    token_logprobs: [null, -1, -2, -3],
    top_logprobs: [null, { x: -0.1, ' ': -1 }, { x: -0.1, ab: -2 }, { x: -0.1, c: -3 }],
    text_offset: [0, 2, 3, 5],
  }

  test('echo with logprobs', () => {
    expect(whole(echo, ['Hé '], echoEvents).choices).toEqual([
      { index: 0, text: 'Hé abc', logprobs: expected, finish_reason: 'length' },
    ])
  })

  test('echo with logprobs, streamed: the same, in pieces', () => {
    const choices = streamed(
      echo,
      ['Hé '],
      echoEvents.map(event => [event]),
    ).map(c => c.choices[0])
    expect(choices.map(c => c.text)).toEqual(['Hé ', 'ab', 'c', ''])
    expect(choices.at(-1)).toEqual({ index: 0, text: '', logprobs: null, finish_reason: 'length' })
    const joined = (key: string) => choices.flatMap(c => c.logprobs?.[key] ?? [])
    for (const [key, list] of Object.entries(expected)) expect(joined(key)).toEqual(list)
  })

  test('choices of one prompt share its logprobs', () => {
    const format = { ...echo, n: 2, candidates: 2 }
    const events = [...prompt, text(1, 'b', -2), finish(1), text(0, 'a', -2), finish(0), usage]
    const tokens = whole(format, ['Hé '], events).choices.map(c => c.logprobs?.tokens)
    expect(tokens).toEqual([
      ['Hé', ' ', 'a'],
      ['Hé', ' ', 'b'],
    ])
    const [first, , , second] = streamed(format, ['Hé '], [events]).map(c => c.choices[0])
    for (const choice of [first, second]) expect(choice.logprobs.tokens).toEqual(['Hé', ' '])
  })

  test('choices are numbered by prompt, then by sample, and echo their own prompt', () => {
    const format = { ...plain, prompts: ['P', 'Q'], n: 2, candidates: 2, echo: true }
    const events = [0, 1, 2, 3].flatMap(i => [text(i, String(i), -1), finish(i)])
    const texts = ['P0', 'P1', 'Q2', 'Q3']
    expect(whole(format, ['P', 'Q'], [...events, usage]).choices.map(c => c.text)).toEqual(texts)
    const pieces = ['', '', '', '']
    for (const {
      choices: [c],
    } of streamed(format, ['P', 'Q'], [events, [usage]])) {
      pieces[c.index] += c.text
    }
    expect(pieces).toEqual(texts)
  })

  test('best_of returns the best by mean log-probability, renumbered', () => {
    const format = { ...plain, prompts: ['P', 'Q'], n: 1, candidates: 3 }
    const events = [
      text(0, 'bad', -3),
      text(1, 'long', -1),
      text(1, ' one', -1.5),
      text(2, 'mid', -2),
      text(3, 'Q best', -0.1),
      text(4, 'Q', -1),
      text(5, 'Q', -1),
      ...[0, 1, 2, 3, 4, 5].map(finish),
      usage,
    ]
    expect(whole(format, [], events).choices).toMatchObject([
      { index: 0, text: 'long one', logprobs: null },
      { index: 1, text: 'Q best' },
    ])
  })

  test('streamed usage only in a chunk of its own', () => {
    const format: CompletionFormat = { ...plain, streamUsage: 'chunk' }
    const all = streamed(format, [], [[text(0, 'a', -1), finish(0)], [usage]])
    expect(all.map(c => [c.choices.length, c.usage?.total_tokens ?? c.usage])).toEqual([
      [1, null],
      [1, null],
      [0, 5],
    ])
    expect(streamed(plain, [], [[finish(0), usage]])[0]).not.toHaveProperty('usage')
  })

  test('an error ends the stream: error, then [DONE]', () => {
    const stream = new CompletionStream(reply, plain, [], 0)
    expect(stream.fail({ kind: 'internal', message: 'gone' })).toBe(
      'data: {"error":{"message":"gone","type":"server_error","param":null,"code":null}}\n\ndata: [DONE]\n\n',
    )
    expect(stream.end).toBe('error')
  })
})
