import type { RecordedTurn } from './recording.ts'
import { recordedTools, recordedTurns, systemPrompt } from './recording.ts'

const cache_control = { type: 'ephemeral', ttl: '1h' }

const agentTools = [
  ...recordedTools,
  {
    name: 'local_shell',
    description: 'Runs a command.',
    parameters: {
      type: 'object',
      properties: { command: { type: 'array', items: { type: 'string' } } },
      required: ['command'],
    },
  },
  {
    name: 'apply_patch',
    description: 'Changes files.',
    parameters: { type: 'object', properties: { input: { type: 'string' } }, required: ['input'] },
  },
]

const tools = [
  ...agentTools.map(({ name, description, parameters }) => ({
    name,
    description,
    input_schema: { $schema: 'https://json-schema.org/draft/2020-12/schema', ...parameters },
  })),
  { type: 'web_search_20250305', name: 'web_search', max_uses: 8 },
]

/** The turns that one recorded turn leaves in the history. */
function turnsOf({ reasoning, text, calls }: RecordedTurn, turn: number): object[] {
  const idOf = (i: number) => `toolu_${turn}_${i}`
  const answer = [
    { type: 'thinking', thinking: reasoning, signature: 'local' },
    ...(text === '' ? [] : [{ type: 'text', text }]),
    ...calls.map((call, i) => ({
      type: 'tool_use',
      id: idOf(i),
      name: call.name,
      input: call.arguments,
    })),
  ]
  const results = calls.map(({ output }, i) => ({
    type: 'tool_result',
    tool_use_id: idOf(i),
    content: [{ type: 'text', text: output }],
    ...(i === calls.length - 1 && { cache_control }),
  }))
  return [
    { role: 'assistant', content: answer },
    ...(results.length === 0 ? [] : [{ role: 'user', content: results }]),
  ]
}

/**
 * What Claude Code sends for each turn, over POST /v1/messages?beta=true: the whole history each time.
 * @param maxTokens what it allows an answer; a model of random weights would write as much
 */
export function claudeRequests(maxTokens: number): object[] {
  const history: object[] = []
  return recordedTurns.map((turn, i) => {
    if (turn.user !== undefined) {
      const reminder = '<system-reminder>Today is a work day.</system-reminder>'
      const content = [reminder, turn.user].map(text => ({ type: 'text', text }))
      history.push({ role: 'user', content })
    }
    const request = {
      model: 'default',
      max_tokens: maxTokens,
      temperature: 1,
      system: [
        { type: 'text', text: 'You are Claude Code, in the terminal of the user.', cache_control },
        { type: 'text', text: systemPrompt, cache_control },
      ],
      messages: [...history],
      tools,
      thinking: { type: 'enabled', budget_tokens: 31_999 },
      metadata: { user_id: 'user_1_account__session_2' },
      context_management: { edits: [{ type: 'clear_thinking_20251015', keep: 'all' }] },
      output_config: { effort: 'medium' },
      stream: true,
    }
    history.push(...turnsOf(turn, i))
    return request
  })
}

export const claudeHeaders = {
  'content-type': 'application/json',
  authorization: 'Bearer local',
  'anthropic-version': '2023-06-01',
  'anthropic-beta':
    'claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,prompt-caching-scope-2026-01-05',
  'anthropic-dangerous-direct-browser-access': 'true',
  'x-app': 'cli',
  'user-agent': 'claude-cli/2.1.30 (external, cli)',
}
