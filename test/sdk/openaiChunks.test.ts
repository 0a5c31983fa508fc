import { ChatCompletionStream } from 'openai/lib/ChatCompletionStream'
import { describe, expect, test } from 'vitest'
import type { GenerateEvent } from '../../edge/engine.ts'
import type { ChatFormat } from '../../edge/openai/chatRequest.ts'
import { ChatStream } from '../../edge/openai/chatStream.ts'
import type { EventBody } from '../../edge/scripted/scriptedRun.ts'
import { sseData } from '../http/sseData.ts'
import { usageEvent } from '../http/usageEvent.ts'

const reply = { id: 'chatcmpl-1', created: 7, model: 'm', fingerprint: null }
const format: ChatFormat = {
  numChoices: 1,
  logprobs: false,
  includeReasoning: false,
  calls: { customTools: new Set(['shell']), functionCall: false },
  streamUsage: 'chunk',
  strictOpenai: false,
}

/** What the official client's own accumulator makes of a run. */
async function accumulated(steps: EventBody[][], change: Partial<ChatFormat> = {}) {
  const encoder = new ChatStream(reply, { ...format, ...change }, 0)
  const events = steps.map(step => step.map(body => ({ v: 1, seq: 0, ...body }) as GenerateEvent))
  const body = events.map(step => encoder.encode(step)).join('')
  const lines = sseData(body).filter(line => line !== '[DONE]')
  const bytes = new TextEncoder().encode(lines.map(line => `${line}\n`).join(''))
  const stream = ChatCompletionStream.fromReadableStream(new Blob([bytes]).stream())
  return stream.finalChatCompletion()
}

const call = (call: number, text: string, name?: string): EventBody => ({
  kind: 'tool_call_delta',
  index: 0,
  call,
  ...(name !== undefined && { id: `${call}`.repeat(24), name }),
  arguments: text,
})
const finish = (reason: 'stop' | 'tool_calls', index = 0): EventBody => ({
  kind: 'finish',
  index,
  reason,
})

describe("the official client's accumulator", () => {
  test('takes progress before the text', async () => {
    const completion = await accumulated([
      [{ kind: 'progress', queuePosition: 3, promptTokensDone: 0, promptTokens: 8 }],
      [{ kind: 'progress', queuePosition: 0, promptTokensDone: 8, promptTokens: 8 }],
      [{ kind: 'text', index: 0, text: 'Hi' }],
      [finish('stop'), usageEvent],
    ])
    expect(completion.choices[0]).toMatchObject({
      message: { role: 'assistant', content: 'Hi' },
      finish_reason: 'stop',
    })
    expect(completion.usage?.prompt_tokens).toBe(8)
  })

  test('takes reasoning, text and several calls of functions', async () => {
    const { choices } = await accumulated([
      [{ kind: 'reasoning', index: 0, text: 'hm' }],
      [{ kind: 'text', index: 0, text: 'Wait.' }],
      [call(0, '{"a"', 'look'), call(0, ':1}')],
      [call(1, '', 'now'), call(1, '{}')],
      [finish('tool_calls'), usageEvent],
    ])
    expect(choices[0]).toMatchObject({
      message: {
        content: 'Wait.',
        tool_calls: [
          {
            id: `call_${'0'.repeat(24)}`,
            type: 'function',
            function: { name: 'look', arguments: '{"a":1}' },
          },
          { type: 'function', function: { name: 'now', arguments: '{}' } },
        ],
      },
      finish_reason: 'tool_calls',
    })
  })

  test('takes a call of a custom tool', async () => {
    const steps = [[call(0, '', 'shell')], [call(0, 'ls'), call(0, ' -l')]]
    const { choices } = await accumulated([...steps, [finish('tool_calls'), usageEvent]])
    expect(choices[0]?.message.tool_calls).toEqual([
      { id: `call_${'0'.repeat(24)}`, type: 'custom', custom: { name: 'shell', input: 'ls -l' } },
    ])
  })

  test('takes one deprecated call', async () => {
    const calls = { customTools: new Set<string>(), functionCall: true }
    const steps = [[call(0, '{"a":1}', 'look')], [finish('tool_calls'), usageEvent]]
    const { choices } = await accumulated(steps, { calls })
    expect(choices[0]).toMatchObject({
      message: { function_call: { name: 'look', arguments: '{"a":1}' } },
      finish_reason: 'function_call',
    })
  })

  test('takes several choices', async () => {
    const { choices } = await accumulated(
      [
        [{ kind: 'text', index: 1, text: 'b' }],
        [{ kind: 'text', index: 0, text: 'a' }],
        [finish('stop', 1), finish('stop'), usageEvent],
      ],
      { numChoices: 2 },
    )
    expect(choices.map(({ message }) => message.content)).toEqual(['a', 'b'])
  })
})
