import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { ChatPrompt, GenerateEvent, GenerateJob } from '../../../edge/engine.ts'
import { collectEvents, fakeEngine, fakeText } from '../../../test/support/fakeEngine.ts'
import { TextService } from '../../text/textService.ts'
import { TokenPiecesBuilder, tokenFlag } from '../../text/tokenizer/tokenPieces.ts'
import { ChoiceOutput } from './choiceOutput.ts'
import { jobReading, outputReading } from './outputReading.ts'

/** Ids below 128 are ASCII characters, but for 0, which ends a text; then come control tokens. */
const controls = ['<tool_call>', '</tool_call>', '<think>', '</think>', '<|other|>']
const pieces = (() => {
  const builder = new TokenPiecesBuilder(128 + controls.length)
  builder.addText('</s>', tokenFlag.special)
  for (let id = 1; id < 128; id++) builder.addText(String.fromCharCode(id), 0)
  for (const control of controls) builder.addText(control, tokenFlag.special)
  return builder.build('keep')
})()

/** Tokens of a text, control tokens where their text stands. */
function encode(text: string): number[] {
  const parts = text.split(/(<\/?tool_call>|<\/?think>|<\|other\|>)/)
  return parts.flatMap(part => {
    const control = controls.indexOf(part)
    return control < 0 ? Array.from(part, c => c.charCodeAt(0)) : [128 + control]
  })
}

const text = fakeText(pieces, prompt => {
  const whole = prompt.kind === 'text' ? prompt.text : (prompt.messages.at(-1)?.content ?? '')
  return Int32Array.from(encode(typeof whole === 'string' ? whole : ''))
})
const reading = await outputReading(
  {
    templates: ['<think> <tool_call>'],
    describedCalls: async () => undefined,
    tokenIds: async contents =>
      contents.map(content => (controls.includes(content) ? encode(content)[0] : undefined)),
  },
  {},
)

const now = { type: 'function' as const, function: { name: 'now' } }
const weather = { type: 'function' as const, function: { name: 'weather' } }

interface Run {
  prompt?: Partial<ChatPrompt>
  job?: Partial<GenerateJob>
  content?: string
}

const say = (output: string, run: Run = {}) => sayTokens(encode(output), run)

/** Has the model say these tokens, and end. */
async function sayTokens(script: number[], { prompt, job, content = 'hi' }: Run = {}) {
  const vocabSize = pieces.flags.length
  const { engine, native } = fakeEngine(text, { reading, maxModelLen: 1000, vocabSize })
  native.replaceToken = () => script.shift() ?? 0
  const events = await collectEvents(engine, {
    model: 'default',
    prompt: {
      kind: 'chat',
      messages: [{ role: 'user', content }],
      tools: [now, weather],
      ...prompt,
    },
    n: 1,
    sampling: {},
    stop: [],
    ...job,
  })
  await engine.dispose()
  return events
}

/** Neighbouring pieces joined, without what differs from run to run. */
function summary(events: readonly GenerateEvent[]) {
  const lines: string[] = []
  let kind = ''
  for (const event of events) {
    if (event.kind === 'usage') continue
    const of = event.kind === 'tool_call_delta' ? `call ${event.call}` : event.kind
    if (of !== kind) lines.push(`${of}:`)
    kind = of
    let piece = ''
    if (event.kind === 'tool_call_delta') piece = (event.name ?? '') + event.arguments
    else if (event.kind === 'finish') piece = event.reason + (event.stopString ?? '')
    else if ('text' in event) piece = event.text
    lines.push((lines.pop() ?? '') + piece)
  }
  return lines
}

const usageOf = (events: readonly GenerateEvent[]) => events.find(e => e.kind === 'usage')

describe('reading outputs', () => {
  test('reasoning, text and calls become events of their own', async () => {
    const output =
      '<think>\nhm\n</think>\n\nOk.\n<tool_call>\n{"name": "weather", "arguments": {"a": 1}}\n</tool_call>\n<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>'
    const events = await say(output)
    expect(summary(events)).toEqual([
      'reasoning:hm',
      'text:Ok.',
      'call 0:weather{"a": 1}',
      'call 1:now{}',
      'finish:tool_calls',
    ])
    const ids = events.flatMap(e => (e.kind === 'tool_call_delta' && e.name ? [e.id] : []))
    expect(ids).toEqual([
      expect.stringMatching(/^[a-z0-9]{24}$/),
      expect.stringMatching(/^[a-z0-9]{24}$/),
    ])
    expect(new Set(ids).size).toBe(2)
    const pieces = events.filter(e => e.kind === 'tool_call_delta')
    expect(pieces.filter(e => e.id !== undefined)).toHaveLength(2)
    expect(usageOf(events)).toMatchObject({
      completionTokens: encode(output).length + 1,
      reasoningTokens: encode('<think>\nhm\n</think>\n\n').length,
    })
  })

  test('tags may also be typed', async () => {
    const characters = (text: string) => Array.from(text, c => c.charCodeAt(0))
    const events = await sayTokens(characters('<think>a</think>b'))
    expect(summary(events)).toEqual(['reasoning:a', 'text:b', 'finish:stop'])
  })

  test('the prompt may end inside the reasoning', async () => {
    const events = await say('a</think>b', { content: 'hi<think>\n' })
    expect(summary(events)).toEqual(['reasoning:a', 'text:b', 'finish:stop'])
  })

  test('control tokens that mark nothing stay invisible', async () => {
    const call = '<tool_call>{"name": "now"}</tool_call>'
    expect(summary(await say(`a<|other|>b${call}`, { prompt: { tools: [] } }))).toEqual([
      'text:ab{"name": "now"}',
      'finish:stop',
    ])
    expect(summary(await say(`a<|other|>b${call}`))).toEqual([
      'text:ab',
      'call 0:now{}',
      'finish:tool_calls',
    ])
  })

  test('a plain prompt is answered in plain text', async () => {
    const events = await say('<think>a</think>', {
      job: { prompt: { kind: 'text', prompts: ['x'] } },
    })
    expect(summary(events)).toEqual(['text:a', 'finish:stop'])
  })

  test('a malformed call is text as it was written', async () => {
    const output = 'a <tool_call>{"name": "rm"}</tool_call> b'
    expect(summary(await say(output))).toEqual([`text:${output}`, 'finish:stop'])
  })

  test('only what may be called is', async () => {
    const output = '<tool_call>{"name": "now"}</tool_call>'
    const names = ['weather']
    expect(summary(await say(output, { prompt: { toolChoice: { mode: 'auto', names } } }))).toEqual(
      [`text:${output}`, 'finish:stop'],
    )
    expect(summary(await say(output, { prompt: { toolChoice: { mode: 'none' } } }))).toEqual([
      'text:{"name": "now"}',
      'finish:stop',
    ])
  })

  test('a custom tool gets its text', async () => {
    const tools = [{ type: 'custom' as const, name: 'sh' }]
    const output = '<tool_call>{"name": "sh", "arguments": {"input": "ls \\"x\\""}}</tool_call>'
    expect(summary(await say(output, { prompt: { tools } }))).toEqual([
      'call 0:shls "x"',
      'finish:tool_calls',
    ])
  })

  test('without parallel calls the first one ends the answer', async () => {
    const first = '<tool_call>{"name": "now", "arguments": {}'
    const events = await say(`${first}}</tool_call><tool_call>{"name": "now"}</tool_call>`, {
      prompt: { parallelToolCalls: false },
      job: { logprobs: { top: 0 } },
    })
    expect(summary(events)).toEqual(['call 0:now{}', 'finish:tool_calls'])
    expect(usageOf(events)).toMatchObject({ completionTokens: encode(first).length })
    expect(listed(events)).toEqual(encode(first))
  })

  test('stop strings end the text, not reasoning or calls', async () => {
    const output =
      '<think>a STOP</think><tool_call>{"name": "now", "arguments": {"a": "STOP"}}</tool_call>ST'
    const job = { stop: ['STOP'] }
    expect(summary(await say(`${output}OP more`, { job }))).toEqual([
      'reasoning:a STOP',
      'call 0:now{"a": "STOP"}',
      'finish:tool_calls',
    ])
    expect(summary(await say('xST<tool_call>{"name": "now"}</tool_call>OPy', { job }))).toEqual([
      'text:xST',
      'call 0:now{}',
      'text:OPy',
      'finish:tool_calls',
    ])
    expect(summary(await say('<think>a</think>xSTOP', { job }))).toEqual([
      'reasoning:a',
      'text:x',
      'finish:stopSTOP',
    ])
  })

  test('a call that is cut by the length is not complete', async () => {
    const output = '<tool_call>{"name": "now", "arguments": {"a": "long'
    const maxTokens = encode(output).length
    expect(summary(await say(`${output}er"}}`, { job: { maxTokens } }))).toEqual([
      'call 0:now{"a": "long',
      'finish:length',
    ])
  })

  test('every token is listed once, with its own kind of output', async () => {
    const output =
      '<think>\nhm\n</think>\n\nOk.\n<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>\nEnd <|other|>'
    const events = await say(output, { job: { logprobs: { top: 0 }, stop: ['zzz'] } })
    expect(listed(events)).toEqual(encode(output))
    const byKind = (kind: string) => listed(events.filter(e => e.kind === kind))
    expect(byKind('reasoning')).toEqual(encode('<think>\nhm\n</think>\n\n'))
    expect(byKind('tool_call_delta')).toEqual(
      encode('\n<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>\n'),
    )
    const withoutTop = await say(output)
    expect(summary(withoutTop)).toEqual(summary(events))
  })
})

test('control tokens of a real tokenizer reach the parser, and only those that mark something', async () => {
  const dir = join(import.meta.dirname, '../../../test/goldens/gemma4-e4b')
  const service = await TextService.load({ source: { kind: 'folder', dir } })
  const job: GenerateJob = {
    model: 'default',
    prompt: { kind: 'chat', messages: [], tools: [now] },
    n: 1,
    sampling: {},
    stop: [],
  }
  const reader = jobReading(job, await outputReading(service, {}))
  if (reader === undefined) throw new Error('nothing is read')
  const output = new ChoiceOutput(
    service.createDetokenizer({ skipSpecialTokens: true, keep: reader.keep }),
    { stops: [], parser: reader.createParser('<|turn>model\n') },
  )
  const said =
    '<|channel>thought\nhm\n<channel|>Hi<turn|><|tool_call>call:now{a:<|"|>b<|"|>}<tool_call|>'
  const ids = await service.encode(said, { addSpecialTokens: false })
  await service.close()
  expect(ids.filter(id => service.isSpecial(id))).toHaveLength(7)
  const deltas = [...[...ids].flatMap(id => output.push(id)), ...output.flush()]
  const joined = (kind: string) =>
    deltas.map(d => (d.kind !== kind ? '' : d.kind === 'call' ? d.arguments : d.text)).join('')
  expect(['reasoning', 'text', 'call'].map(joined)).toEqual(['hm', 'Hi', '{"a": "b"}'])
})

function listed(events: readonly GenerateEvent[]): number[] {
  return events.flatMap(e => ('logprobs' in e ? (e.logprobs ?? []).map(({ id }) => id) : []))
}
