import type { EngineErrorKind } from '../engine.ts'
import { openaiParam } from '../openai/errorBody.ts'

/** Beginnings of paths in terms of GenerateJob; what they lead to may not stand in the request as it does in the job. */
const fields: [path: string, param: string][] = [
  ['prompt.messages', 'input'],
  ['prompt.toolChoice', 'tool_choice'],
  ['prompt.tools', 'tools'],
  ['prompt.reasoning', 'reasoning.effort'],
  ['maxTokens', 'max_output_tokens'],
  ['grammar', 'text.format'],
  ['truncatePrompt', 'truncation'],
]

/** Turns a path in terms of GenerateJob into the field of the Responses API. */
export function responsesParam(
  path: string | undefined,
  kind: EngineErrorKind,
): string | undefined {
  if (path === 'prompt' || (path === undefined && kind === 'context_length')) return 'input'
  const known = fields.find(([start]) => path === start || path?.startsWith(`${start}.`))
  return known?.[1] ?? openaiParam(path, kind, 'messages')
}
