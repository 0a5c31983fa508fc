import type OpenAI from 'openai'
import { describe, expect, expectTypeOf, test } from 'vitest'
import type { EngineErrorKind, GenerateEvent } from '../engine.ts'
import type { StreamEncoder } from '../jobs/sse.ts'
import { scriptedModel } from '../scripted/scriptedEngine.ts'
import type {
  ApplyPatchCallItem,
  CustomToolCallItem,
  FunctionCallItem,
  LocalShellCallItem,
  MessageItem,
  ReasoningItem,
  ResponseObject,
  ShellCallItem,
} from './responseObject.ts'
import { responseRequest } from './responseRequest.ts'
import { ResponseStream } from './responseStream.ts'
import { runOf } from './storedRuns.ts'

type Body = Parameters<typeof responseRequest>[0]

function encoderFor(body: Body, after?: number): StreamEncoder {
  const identity = { id: 'resp_x', created: 100, canStore: true }
  const { head, input, include } = responseRequest(body, [scriptedModel], identity)
  const run = runOf({ response: head, input, include, detached: true })
  return new ResponseStream(run, { done: false, ...(after !== undefined && { after }) })
}

type EventBody = GenerateEvent extends infer E
  ? E extends unknown
    ? Omit<E, 'v' | 'seq'>
    : never
  : never

const usage: EventBody = {
  kind: 'usage',
  promptTokens: 9,
  cachedTokens: 4,
  completionTokens: 5,
  reasoningTokens: 2,
  promptMs: 1000,
  completionMs: 2000,
}
const bodies: EventBody[] = [
  { kind: 'progress', queuePosition: 0, promptTokensDone: 0, promptTokens: 9 },
  { kind: 'reasoning', index: 0, text: 'hm' },
  { kind: 'text', index: 0, text: 'a' },
  { kind: 'text', index: 0, text: '' },
  { kind: 'tool_call_delta', index: 0, call: 0, id: 'i', name: 'f', arguments: '' },
  { kind: 'tool_call_delta', index: 0, call: 0, arguments: '{}' },
  { kind: 'tool_call_delta', index: 0, call: 1, id: 'j', name: 'f', arguments: '{' },
  { kind: 'text', index: 0, text: 'b' },
  { kind: 'finish', index: 0, reason: 'length' },
  usage,
]
const numbered = (events: EventBody[]) =>
  events.map((body, seq) => ({ v: 1, seq, ...body }) as GenerateEvent)
const all = numbered(bodies)

function eventsOf(encoder: StreamEncoder, batches: GenerateEvent[][]) {
  const text = (encoder.begin?.() ?? '') + batches.map(batch => encoder.encode(batch)).join('')
  return text
    .split('\n\n')
    .filter(Boolean)
    .map(frame => JSON.parse(frame.slice(frame.indexOf('data: ') + 6)))
}
const last = (body: Body, events: EventBody[]) =>
  eventsOf(encoderFor(body), [numbered(events)]).at(-1)

describe('a stream', () => {
  test('is the same however its events come', () => {
    const whole = eventsOf(encoderFor({ input: 'hi' }), [all])
    expect(
      eventsOf(
        encoderFor({ input: 'hi' }),
        all.map(event => [event]),
      ),
    ).toEqual(whole)
    for (let after = 0; after < whole.length; after++) {
      expect(eventsOf(encoderFor({ input: 'hi' }, after), [all])).toEqual(whole.slice(after + 1))
    }
  })

  test('of a run that was cut off has an incomplete end, the items before are complete', () => {
    const { type, response } = eventsOf(encoderFor({ input: 'hi' }), [all]).at(-1)
    expect(type).toBe('response.incomplete')
    expect(response).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      completed_at: null,
      usage: {
        input_tokens: 9,
        input_tokens_details: { cached_tokens: 4 },
        output_tokens: 5,
        output_tokens_details: { reasoning_tokens: 2 },
        total_tokens: 14,
      },
    })
    const items = response.output as { type: string; status: string; id: string }[]
    expect(items.map(({ type, status, id }) => [type, status, id])).toEqual([
      ['reasoning', 'completed', 'rs_x_0'],
      ['message', 'completed', 'msg_x_1'],
      ['function_call', 'completed', 'fc_x_2'],
      ['function_call', 'completed', 'fc_x_3'],
      ['message', 'incomplete', 'msg_x_4'],
    ])
  })

  test('of nothing has no items', () => {
    const { type, response } = last({ input: 'hi' }, [
      { kind: 'finish', index: 0, reason: 'stop' },
      usage,
    ])
    expect([type, response.output, response.completed_at]).toEqual(['response.completed', [], 103])
  })

  test('has a summary only when it is asked for', () => {
    const types = (body: Body) => eventsOf(encoderFor(body), [all]).map(({ type }) => type)
    const summary = (type: string) => type.includes('summary')
    expect(types({ input: 'hi' }).filter(summary)).toEqual([])
    expect(types({ input: 'hi', reasoning: { summary: 'auto' } }).filter(summary)).toEqual([
      'response.reasoning_summary_part.added',
      'response.reasoning_summary_text.delta',
      'response.reasoning_summary_text.done',
      'response.reasoning_summary_part.done',
    ])
  })

  test('has logprobs in its deltas, its part and its item', () => {
    const token = { id: 5, token: 'a', bytes: [97], logprob: -0.5 }
    const logprobs = [{ ...token, top: [token] }]
    const told = [
      {
        token: 'a',
        bytes: [97],
        logprob: -0.5,
        top_logprobs: [{ token: 'a', bytes: [97], logprob: -0.5 }],
      },
    ]
    const events = eventsOf(encoderFor({ input: 'hi', top_logprobs: 1 }), [
      numbered([
        { kind: 'text', index: 0, text: 'a', logprobs },
        { kind: 'finish', index: 0, reason: 'stop' },
        usage,
      ]),
    ])
    const of = (type: string) => events.find(event => event.type === type)
    expect(of('response.output_text.delta').logprobs).toEqual(told)
    expect(of('response.output_text.done').logprobs).toEqual(told)
    expect(of('response.completed').response.output[0].content[0].logprobs).toEqual(told)
  })

  test.each<[EngineErrorKind, string, string | null]>([
    ['internal', 'failed', 'server_error'],
    ['busy', 'failed', 'rate_limit_exceeded'],
    ['unreachable_media', 'failed', 'failed_to_download_image'],
    ['context_length', 'failed', 'invalid_prompt'],
    ['cancelled', 'cancelled', null],
  ])('that ends with %s is %s', (kind, status, code) => {
    const { type, response } = last({ input: 'hi' }, [
      { kind: 'text', index: 0, text: 'a' },
      { kind: 'error', error: { kind, message: 'no' } },
    ])
    expect(type).toBe('response.failed')
    expect([response.status, response.error?.code ?? null]).toEqual([status, code])
    expect(response.output).toMatchObject([{ status: 'incomplete', content: [{ text: 'a' }] }])
  })
})

test('objects have every key that the types of the client ask for', () => {
  type Required<T> = { [K in keyof T]-?: object extends Pick<T, K> ? never : K }[keyof T]
  type Missing<Theirs, Ours> = Exclude<Required<Theirs>, keyof Ours>
  // Computed by the client.
  expectTypeOf<Missing<OpenAI.Responses.Response, ResponseObject>>().toEqualTypeOf<'output_text'>()
  expectTypeOf<Missing<OpenAI.Responses.ResponseOutputMessage, MessageItem>>().toBeNever()
  expectTypeOf<Missing<OpenAI.Responses.ResponseReasoningItem, ReasoningItem>>().toBeNever()
  expectTypeOf<
    Missing<OpenAI.Responses.ResponseFunctionToolCallItem, FunctionCallItem>
  >().toBeNever()
  expectTypeOf<
    Missing<OpenAI.Responses.ResponseCustomToolCallItem, CustomToolCallItem>
  >().toBeNever()
  expectTypeOf<
    Missing<OpenAI.Responses.ResponseInputItem.LocalShellCall, LocalShellCallItem>
  >().toBeNever()
  expectTypeOf<Missing<OpenAI.Responses.ResponseFunctionShellToolCall, ShellCallItem>>().toBeNever()
  expectTypeOf<
    Missing<OpenAI.Responses.ResponseApplyPatchToolCall, ApplyPatchCallItem>
  >().toBeNever()
})
