import { type ChatPrompt, EngineError, type GenerateJob } from '../../../edge/engine.ts'
import type { Prompted } from '../../media/mediaParts.ts'
import { detectFormat, type ParserOverrides } from '../../parse/detectFormat.ts'
import { type OutputFormat, OutputParser } from '../../parse/outputParser.ts'
import type { DeclaredTools } from '../../parse/toolCall.ts'
import { functionTools } from '../../text/chat/chatTemplate.ts'
import type { TextService } from '../../text/textService.ts'

/** How the outputs of a model are read: in which format, and by which control tokens, which no text shows otherwise. */
export interface OutputReading {
  format: OutputFormat
  /** Tools of a request reach the model: by its chat template, or told of in the system turn. */
  takesTools: boolean
  reasoningMarkers: ReadonlySet<number>
  callMarkers: ReadonlySet<number>
  /** Tokens that end an output beside those of the model's own files. */
  endIds: ReadonlySet<number>
}

/** @throws RangeError for an override that names no format */
export async function outputReading(
  text: Pick<TextService, 'templates' | 'describedCalls' | 'tokenIds'>,
  overrides: ParserOverrides,
): Promise<OutputReading> {
  const described = await text.describedCalls()
  const format = detectFormat(text.templates, overrides, described)
  const ids = async (markers: string[] = []) =>
    new Set((await text.tokenIds(markers)).filter(id => id !== undefined))
  return {
    format,
    takesTools: described === undefined || format.calls !== undefined,
    reasoningMarkers: await ids(format.reasoning?.markers),
    callMarkers: await ids(format.calls?.markers),
    endIds: await ids(format.calls?.endTokens),
  }
}

/** @throws EngineError `unsupported` for tools that the model would not get to see */
export function checkTools({ prompt }: Prompted, { takesTools }: OutputReading): void {
  if (takesTools || prompt.kind !== 'chat' || (prompt.tools ?? []).length === 0) return
  const message =
    'The chat template of this model shows no tools, and it was started without a format for calls.'
  throw new EngineError({ kind: 'unsupported', message, param: 'prompt.tools' })
}

/** How the outputs of one job are read; absent where they are text and nothing else. */
export interface JobReading {
  /** Control tokens to show to the parser. */
  keep: ReadonlySet<number>
  /** @param promptTail end of the rendered prompt */
  createParser(promptTail: string): OutputParser
}

/** Conversations are read in the model's format, calls only of tools that may be called. */
export function jobReading(
  { prompt }: GenerateJob,
  { format, reasoningMarkers, callMarkers }: OutputReading,
): JobReading | undefined {
  if (prompt.kind !== 'chat') return undefined
  const { reasoning, calls } = format
  const tools = callableTools(prompt)
  const customTools = new Set(
    prompt.tools?.flatMap(tool => (tool.type === 'custom' ? tool.name : [])),
  )
  const isHeldToCalls = prompt.toolChoice?.mode === 'required'
  const readsCalls = calls !== undefined && tools.size > 0
  if (reasoning === undefined && !readsCalls) return undefined
  return {
    keep: readsCalls ? new Set([...reasoningMarkers, ...callMarkers]) : reasoningMarkers,
    createParser: promptTail =>
      new OutputParser(format, tools, promptTail, customTools, isHeldToCalls),
  }
}

function callableTools({ tools = [], toolChoice }: ChatPrompt): DeclaredTools {
  if (toolChoice?.mode === 'none') return new Map()
  const names = toolChoice?.names
  return new Map(
    functionTools(tools)
      .filter(({ function: { name } }) => names === undefined || names.includes(name))
      .map(({ function: { name, parameters = {} } }) => [name, parameters]),
  )
}
