import { type ChatPrompt, EngineError, type GenerateJob } from '../../../edge/engine.ts'
import type { CallableTool } from '../../grammar/callArguments.ts'
import type { OutputRequest } from '../../grammar/outputGrammar.ts'
import { endsInBlock } from '../../parse/outputParser.ts'
import { functionTools } from '../../text/chat/chatTemplate.ts'
import { CUSTOM_INPUT } from '../../text/chat/toolHistory.ts'
import type { OutputReading } from './outputReading.ts'

/** What is known of a model's tokens when a job comes in. */
export interface OutputTokens {
  reading: OutputReading
  isSpecial: (id: number) => boolean
  textOf: (id: number) => string
}

/**
 * What a job allows its output to be, in the model's format; undefined when that is anything.
 * @param promptTail end of the rendered prompt
 * @throws EngineError `invalid` when calls are required of a model that has no format for them
 */
export function outputRequest(
  { prompt, grammar }: GenerateJob,
  tokens: OutputTokens,
  promptTail: string,
): OutputRequest | undefined {
  const { format, reasoningMarkers, callMarkers } = tokens.reading
  if (prompt.kind === 'text') return grammar && { grammar, controlTokens: [] }
  const required = prompt.toolChoice?.mode === 'required'
  const tools = callableTools(prompt)
  if (required && (format.calls === undefined || tools.length === 0)) {
    const problem =
      tools.length === 0 ? 'there are no tools to call' : 'the model has no format for tool calls'
    throw new EngineError({
      kind: 'invalid',
      message: `prompt.toolChoice requires a call, but ${problem}`,
      param: 'prompt.toolChoice',
    })
  }
  const isHeld = tools.some(tool => tool.strict || tool.input !== undefined)
  const constrainsCalls = format.calls !== undefined && (required || isHeld)
  if (grammar === undefined && !constrainsCalls) return undefined
  const mayCall = format.calls !== undefined && tools.length > 0
  return {
    ...(grammar && { grammar }),
    ...(mayCall &&
      format.calls && {
        calls: {
          format: format.calls.name,
          tools,
          required,
          parallel: prompt.parallelToolCalls !== false,
        },
      }),
    ...(format.reasoning && {
      reasoning: {
        format: format.reasoning.name,
        start: reasoningStart(prompt, tokens, promptTail),
      },
    }),
    controlTokens: [...new Set([...reasoningMarkers, ...callMarkers])]
      .filter(tokens.isSpecial)
      .map(id => [tokens.textOf(id), id]),
  }
}

/** Tokens that begin a call, where no call may be made. */
export function bannedOpeners(
  { prompt }: GenerateJob,
  { reading: { format, callMarkers }, textOf }: OutputTokens,
): number[] {
  if (prompt.kind !== 'chat' || prompt.toolChoice?.mode !== 'none') return []
  const openers = format.calls?.openers.map(({ text }) => text) ?? []
  return [...callMarkers].filter(id => openers.includes(textOf(id)))
}

function reasoningStart(
  { reasoning: asked }: ChatPrompt,
  { reading: { format } }: OutputTokens,
  promptTail: string,
): 'open' | 'optional' | 'never' {
  const { reasoning } = format
  if (endsInBlock(promptTail, reasoning)) return 'open'
  const isClosed = reasoning !== undefined && promptTail.trimEnd().endsWith(reasoning.close)
  return isClosed || asked?.enabled === false ? 'never' : 'optional'
}

function callableTools({ tools = [], toolChoice }: ChatPrompt): CallableTool[] {
  if (toolChoice?.mode === 'none') return []
  const functions = functionTools(tools)
  return tools
    .map((tool, i): CallableTool => {
      const { name = '', parameters = {}, strict } = functions[i]?.function ?? {}
      const format = tool.type === 'custom' ? tool.format : undefined
      return {
        name,
        parameters,
        strict: strict === true,
        ...(format && { input: { property: CUSTOM_INPUT, format } }),
      }
    })
    .filter(({ name }) => toolChoice?.names === undefined || toolChoice.names.includes(name))
}
