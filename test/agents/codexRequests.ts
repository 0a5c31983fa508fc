import { sealReasoning } from '../../edge/responses/reasoningSeal.ts'
import type { RecordedTurn } from './recording.ts'
import { recordedTools, recordedTurns, systemPrompt } from './recording.ts'

const tools = [
  ...recordedTools.map(tool => ({ type: 'function', strict: false, ...tool })),
  { type: 'local_shell' },
  { type: 'web_search' },
  {
    type: 'custom',
    name: 'apply_patch',
    description: 'Changes files. The input is a patch, not JSON.',
    format: { type: 'text' },
  },
]

const said = (role: string, text: string) => ({
  type: 'message',
  role,
  content: [{ type: role === 'assistant' ? 'output_text' : 'input_text', text }],
})

/** The items that one recorded turn leaves in the history. */
function itemsOf({ reasoning, text, calls }: RecordedTurn, turn: number): object[] {
  return [
    {
      type: 'reasoning',
      id: `rs_${turn}`,
      summary: [],
      content: null,
      encrypted_content: sealReasoning(reasoning),
    },
    ...(text === '' ? [] : [said('assistant', text)]),
    ...calls.flatMap((call, i): object[] => {
      const call_id = `call_${turn}_${i}`
      const { kind, name, output } = call
      if (kind === 'shell') {
        const { command, timeout_ms } = call.arguments
        const action = { type: 'exec', command, timeout_ms, env: {}, working_directory: '/repo' }
        const id = `lsh_${turn}_${i}`
        return [
          { type: 'local_shell_call', id, call_id, status: 'completed', action },
          { type: 'function_call_output', call_id, output: JSON.stringify({ output }) },
        ]
      }
      if (kind === 'patch') {
        const { input } = call.arguments
        return [
          { type: 'custom_tool_call', call_id, name, input, status: 'completed' },
          { type: 'custom_tool_call_output', call_id, output },
        ]
      }
      return [
        { type: 'function_call', call_id, name, arguments: JSON.stringify(call.arguments) },
        { type: 'function_call_output', call_id, output },
      ]
    }),
  ]
}

/**
 * What Codex sends for each turn, over POST /v1/responses: the whole history each time.
 * @param maxTokens Codex has no limit; a model of random weights would write to the end of its context
 */
export function codexRequests(maxTokens: number): object[] {
  const history: object[] = [
    said('developer', '<permissions>sandbox_mode is workspace-write</permissions>'),
    said(
      'user',
      '<environment_context>\n  <cwd>/repo</cwd>\n  <shell>bash</shell>\n</environment_context>',
    ),
  ]
  return recordedTurns.map((turn, i) => {
    if (turn.user !== undefined) history.push(said('user', turn.user))
    const request = {
      model: 'default',
      instructions: systemPrompt,
      input: [...history],
      tools,
      tool_choice: 'auto',
      parallel_tool_calls: false,
      reasoning: { effort: 'medium', summary: 'auto' },
      store: false,
      stream: true,
      include: ['reasoning.encrypted_content'],
      prompt_cache_key: '019b2f6e-3f7e-7c11-a5a5-0d4c6b1f2a90',
      text: { verbosity: 'low' },
      client_metadata: { originator: 'codex_cli' },
      max_output_tokens: maxTokens,
    }
    history.push(...itemsOf(turn, i))
    return request
  })
}

export const codexHeaders = {
  'content-type': 'application/json',
  accept: 'text/event-stream',
  authorization: 'Bearer local',
  'openai-beta': 'responses=experimental',
  originator: 'codex_cli_rs',
  session_id: '019b2f6e-3f7e-7c11-a5a5-0d4c6b1f2a90',
  'user-agent': 'codex_cli_rs/0.98.0 (Linux 6.12; x86_64)',
}
