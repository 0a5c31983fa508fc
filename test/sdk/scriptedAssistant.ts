import type { ChatMessage, GenerateJob, JsonObject, JsonValue } from '../../edge/engine.ts'
import { randomId } from '../../edge/http/randomId.ts'
import type { EventBody } from '../../edge/scripted/scriptedRun.ts'

/**
 * Plays a model that does what it is asked: output of a JSON schema, and with tools two rounds of calls, two beside each
 * other and then one, before it answers. All answers begin with reasoning.
 */
export function scriptedAssistant(job: GenerateJob): EventBody[][] {
  const thought: EventBody = { kind: 'reasoning', index: 0, text: 'Let me see.' }
  const calls = callsOf(job)
  const text = calls.length > 0 ? 'Looking.' : answerOf(job)
  return [
    [thought],
    ...pieces(text).map((text): EventBody[] => [{ kind: 'text', index: 0, text }]),
    ...calls.flatMap(({ name, args }, call) =>
      pieces(args).map((piece, i): EventBody[] => [
        {
          kind: 'tool_call_delta',
          index: 0,
          call,
          ...(i === 0 && { id: randomId(24), name }),
          arguments: piece,
        },
      ]),
    ),
    [
      { kind: 'finish', index: 0, reason: calls.length > 0 ? 'tool_calls' : 'stop' },
      {
        kind: 'usage',
        promptTokens: 20,
        cachedTokens: 8,
        completionTokens: 12,
        reasoningTokens: 3,
        promptMs: 1,
        completionMs: 1,
      },
    ],
  ]
}

function answerOf({ grammar }: GenerateJob): string {
  if (grammar?.type === 'json_object') return '{"sunny": true}'
  if (grammar?.type !== 'json_schema') return 'It is sunny, at 21 °C.'
  return JSON.stringify(sampleOf(grammar.schema))
}

function callsOf({ prompt }: GenerateJob): { name: string; args: string }[] {
  if (prompt.kind !== 'chat' || prompt.toolChoice?.mode === 'none') return []
  const [tool] = prompt.tools ?? []
  const round = numRounds(prompt.messages)
  if (tool === undefined || round > 1) return []
  const call =
    tool.type === 'custom'
      ? { name: tool.name, args: 'look' }
      : {
          name: tool.function.name,
          args: JSON.stringify(sampleOf(tool.function.parameters ?? {})),
        }
  return round === 0 && prompt.parallelToolCalls !== false ? [call, call] : [call]
}

/** Turns of calls since the user last said something. */
function numRounds(messages: ChatMessage[]): number {
  const latest = messages.slice(messages.findLastIndex(({ role }) => role === 'user') + 1)
  return latest.filter(({ toolCalls }) => toolCalls !== undefined).length
}

/** The simplest value of a schema, for the few keywords that the checks use. */
function sampleOf(schema: JsonObject | boolean, root = schema): JsonValue {
  if (typeof schema === 'boolean' || typeof root === 'boolean') return null
  const { type, properties, items, $ref } = schema
  if (typeof $ref === 'string') {
    const name = $ref.split('/').at(-1) ?? ''
    return sampleOf((root.$defs as Record<string, JsonObject>)[name] ?? false, root)
  }
  const [first] = Array.isArray(schema.enum) ? schema.enum : []
  if (first !== undefined) return first
  if (type === 'object') {
    const entries = Object.entries((properties ?? {}) as Record<string, JsonObject>)
    return Object.fromEntries(entries.map(([name, value]) => [name, sampleOf(value, root)]))
  }
  if (type === 'array') return [sampleOf(items as JsonObject, root)]
  return type === 'boolean' ? true : type === 'string' ? 'x' : 1
}

const pieces = (text: string) => text.match(/.{1,6}/gsu) ?? []
