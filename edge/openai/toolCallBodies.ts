import type { FinishReason, GenerateEvent } from '../engine.ts'
import type { ToolCall } from '../jobs/collect.ts'
import type { CallFormat } from './chatRequest.ts'

/** The fields of an answer's message that hold its calls. */
export function callFields(calls: ToolCall[], { customTools, functionCall }: CallFormat) {
  const [first] = calls
  if (first === undefined) return {}
  if (functionCall) return { function_call: { name: first.name, arguments: first.arguments } }
  return {
    tool_calls: calls.map(({ id, name, arguments: text }) => {
      const isCustom = customTools.has(name)
      return isCustom
        ? { id: callId(id), type: 'custom', custom: { name, input: text } }
        : { id: callId(id), type: 'function', function: { name, arguments: text } }
    }),
  }
}

type CallDelta = Extract<GenerateEvent, { kind: 'tool_call_delta' }>

/** The deltas that tell of one choice's calls: id, type and name once, then pieces of the arguments. */
export class CallDeltas {
  readonly #format: CallFormat
  readonly #custom: number[] = []

  constructor(format: CallFormat) {
    this.#format = format
  }

  /** @returns the deltas of one event, none when the client need not know of it */
  of({ call, id, name, arguments: text }: CallDelta): object[] {
    const { customTools, functionCall } = this.#format
    if (functionCall && call > 0) return []
    if (name !== undefined && customTools.has(name)) this.#custom.push(call)
    const isCustom = this.#custom.includes(call)
    const [kind, piece] = isCustom ? ['custom', 'input'] : ['function', 'arguments']
    const delta = (head: object, fields: object) =>
      functionCall
        ? { function_call: fields }
        : { tool_calls: [{ index: call, ...head, [kind]: fields }] }
    return [
      ...(name === undefined
        ? []
        : [delta({ id: callId(id ?? ''), type: kind }, { name, [piece]: '' })]),
      ...(text === '' ? [] : [delta({}, { [piece]: text })]),
    ]
  }
}

export function chatFinish(reason: FinishReason, { functionCall }: CallFormat): string {
  return reason === 'tool_calls' && functionCall ? 'function_call' : reason
}

function callId(id: string): string {
  return `call_${id}`
}
