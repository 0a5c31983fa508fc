import { expect } from 'vitest'
import type { EventBody } from '../../edge/scripted/scriptedRun.ts'
import { type HttpCase, post } from './httpSuite.ts'
import { responseEvents } from './responseEvents.ts'
import { usageEvent } from './usageEvent.ts'

const parameters = {
  type: 'object',
  properties: { command: { type: 'array', items: { type: 'string' } } },
  required: ['command'],
  additionalProperties: false,
}

/** A turn as Codex sends it: everything it lists, whether or not a server of this kind has it. */
const turn = {
  model: 'default',
  instructions: 'You are a coding agent running in a terminal.',
  input: [
    {
      type: 'message',
      role: 'developer',
      content: [{ type: 'input_text', text: '<permissions>workspace-write</permissions>' }],
    },
    {
      type: 'message',
      role: 'user',
      content: [
        { type: 'input_text', text: '<environment_context>/home/me</environment_context>' },
        { type: 'input_text', text: 'Which files are there?' },
      ],
    },
  ],
  tools: [
    { type: 'function', name: 'exec_command', description: 'Run.', strict: false, parameters },
    {
      type: 'custom',
      name: 'apply_patch',
      description: 'Edit files.',
      format: { type: 'grammar', syntax: 'lark', definition: 'start: "*** Begin Patch"' },
    },
    { type: 'web_search', external_web_access: true },
    { type: 'local_shell' },
    {
      type: 'namespace',
      name: 'mcp__docs',
      description: 'Documentation.',
      tools: [{ type: 'function', name: 'search', strict: false, parameters }],
    },
  ],
  tool_choice: 'auto',
  parallel_tool_calls: true,
  reasoning: { effort: 'medium', summary: 'auto' },
  store: false,
  stream: true,
  include: ['reasoning.encrypted_content'],
  prompt_cache_key: '0199a213-81c0-7800-8aa1-bbab2a035a53',
  service_tier: 'auto',
  text: { verbosity: 'low' },
  client_metadata: { installation: 'x' },
}
const ids = ['aaaaaaaaaaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbbbbbbbbbb', 'cccccccccccccccccccccccc']
const answer: EventBody[][] = [
  [{ kind: 'reasoning', index: 0, text: 'List them.' }],
  [
    call(0, 'exec_command', '{"command":["ls"]}'),
    call(1, 'apply_patch', '*** Begin Patch'),
    call(2, 'mcp__docs.search', '{"command":[]}'),
  ],
  [{ kind: 'finish', index: 0, reason: 'tool_calls' }, usageEvent],
]

function call(n: number, name: string, text: string): EventBody {
  return {
    kind: 'tool_call_delta',
    index: 0,
    call: n,
    id: ids[n] ?? '',
    name,
    arguments: text,
  }
}

/** Section 20 of the HTTP specification. */
export const codexCases: HttpCase[] = [
  {
    name: 'Codex: a turn, and the next with what came of it',
    scenario: { engine: { events: answer } },
    async run({ fetch, engine }) {
      const response = await fetch('/v1/responses', post(turn))
      expect(response.headers.get('x-warning')).toMatch(/web_search/)
      const { events } = responseEvents(await response.text())
      const last = events.at(-1)
      expect(last?.type).toBe('response.completed')
      const items = events
        .filter(({ type }) => type === 'response.output_item.done')
        .map(({ item }) => item as Record<string, unknown>)
      expect(items).toMatchObject([
        { type: 'reasoning', encrypted_content: expect.any(String) },
        { type: 'function_call', call_id: `call_${ids[0]}`, name: 'exec_command' },
        { type: 'custom_tool_call', call_id: `call_${ids[1]}`, input: '*** Begin Patch' },
        { type: 'function_call', name: 'search', namespace: 'mcp__docs' },
      ])
      expect(last?.response).toMatchObject({ output: items, usage: { output_tokens: 3 } })

      const [reasoning = {}, ...calls] = items
      const { content: _, ...sealed } = reasoning
      const outputs = calls.map(({ type, call_id }) => ({
        type: type === 'custom_tool_call' ? 'custom_tool_call_output' : 'function_call_output',
        call_id,
        output: 'done',
      }))
      const input = [...turn.input, sealed, ...calls, ...outputs]
      const next = await fetch('/v1/responses', post({ ...turn, input }))
      expect(responseEvents(await next.text()).events.at(-1)?.type).toBe('response.completed')
      const [first, second] = engine.jobs.map(({ prompt }) =>
        prompt.kind === 'chat' ? prompt : undefined,
      )
      // What the prefix cache has to find again: everything before the new turns, as it was.
      expect(second?.messages.slice(0, first?.messages.length)).toEqual(first?.messages)
      expect(second?.tools).toEqual(first?.tools)
      expect(second?.messages.slice(first?.messages.length)).toMatchObject([
        {
          role: 'assistant',
          reasoning: 'List them.',
          toolCalls: [
            { name: 'exec_command', arguments: '{"command":["ls"]}' },
            { name: 'apply_patch', arguments: '*** Begin Patch' },
            { name: 'mcp__docs.search' },
          ],
        },
        { role: 'tool', content: 'done' },
        { role: 'tool', content: 'done' },
        { role: 'tool', content: 'done' },
      ])
      expect(engine.jobs.every(({ detach }) => detach === undefined)).toBe(true)
    },
  },
]
