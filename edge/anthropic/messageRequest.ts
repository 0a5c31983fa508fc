import { z } from 'zod'
import type { ChatPrompt, GenerateJob, JsonObject, ModelInfo } from '../engine.ts'
import { invalidRequest } from '../errors.ts'
import { resolveModel } from '../jobs/resolveModel.ts'
import { isObject } from '../jsonObject.ts'
import type { OutputGrammar } from '../openai/grammarParts.ts'
import { grammarFields, toOutputGrammar } from '../openai/outputGrammar.ts'
import { samplingFields, toSampling } from '../openai/samplingFields.ts'
import { field, invalidValue, optional, parseFields } from '../schema.ts'
import { THREADS_UNSUPPORTED } from './errorBody.ts'
import type { MessageFormat } from './messageBody.ts'
import { type Thinking, toThinking } from './thinking.ts'
import { toToolChoice, toTools } from './tools.ts'
import { toTurns } from './turns.ts'

const { n: _n, stop: _stop, stream_options: _streamOptions, ...sampling } = samplingFields

const MAX_STOP_SEQUENCES = 64

/** Body of POST /v1/messages; sampling fields beyond Anthropic's are extensions. */
export const messageFields = z.object({
  ...sampling,
  ...grammarFields,
  temperature: optional(field.number(0, 1)),
  max_tokens: optional(field.integer(1, Number.MAX_SAFE_INTEGER)),
  system: field.any('MessageContent'),
  messages: field.any('Messages'),
  tools: field.any('MessageTools'),
  tool_choice: field.any('MessageToolChoice'),
  thinking: field.any('MessageThinking'),
  thread: field.any(),
  output_config: optional(
    z.object({ effort: optional(field.string()), format: field.any('MessageFormat') }, 'an object'),
  ),
  stop_sequences: field.any('StopSequences'),
  enable_thinking: optional(field.boolean()),
  reasoning_effort: optional(field.string()),
})

export interface MessageRequest {
  job: GenerateJob & { prompt: ChatPrompt }
  stream: boolean
  format: MessageFormat
  /** Types of server-side tools that the model is not told of. */
  leftTools: string[]
}

/**
 * Turns the body of POST /v1/messages, or of its `count_tokens`, into a job.
 * @throws ApiError 400 naming the field; EngineError when no model has the name
 */
export function messageRequest(body: JsonObject, models: ModelInfo[]): MessageRequest {
  const request = parseFields(messageFields, body)
  refuseThread(request.thread)
  const model = resolveModel(models, request.model)
  const { tools, left } = toTools(request.tools)
  const messages = toTurns(request.system, request.messages)
  const thinking = toThinking(request)
  const output = toOutput(request)
  const job: MessageRequest['job'] = {
    model: model.id,
    prompt: {
      kind: 'chat',
      messages,
      ...(tools.length > 0 && { tools }),
      ...toToolChoice(request.tool_choice, tools),
      ...reasoningOf(thinking),
      // The client has begun the answer.
      ...(messages.at(-1)?.role === 'assistant' && { addGenerationPrompt: false }),
    },
    n: 1,
    sampling: toSampling(request, model),
    stop: toStopSequences(request.stop_sequences),
    ...(request.max_tokens !== undefined && { maxTokens: request.max_tokens }),
    ...(thinking.budget !== undefined && { maxReasoningTokens: thinking.budget }),
    ...(output !== undefined && { grammar: output.grammar }),
    ...(request.truncate_sequence && { truncatePrompt: true }),
    ...(request.ignore_eos && { ignoreEos: true }),
  }
  return {
    job,
    stream: request.stream ?? false,
    format: { showThinking: thinking.show, maxTokens: request.max_tokens },
    leftTools: left,
  }
}

/** Of a conversation that its server was to hold, a request has only the latest turn. */
function refuseThread(thread: unknown): void {
  if (thread === undefined || thread === null) return
  const message = "'thread' is not supported: send the whole conversation in 'messages'."
  throw invalidRequest('thread', message, THREADS_UNSUPPORTED)
}

function reasoningOf({ enabled, effort }: Thinking): Pick<ChatPrompt, 'reasoning'> {
  const reasoning = {
    ...(enabled !== undefined && { enabled }),
    ...(effort !== undefined && { effort }),
  }
  return Object.keys(reasoning).length > 0 ? { reasoning } : {}
}

/** The language of the text: Anthropic's own field, or one of those that chat has. */
function toOutput(request: z.infer<typeof messageFields>): OutputGrammar | undefined {
  const extension = toOutputGrammar(request)
  const param = 'output_config.format'
  const format = request.output_config?.format ?? undefined
  if (format === undefined) return extension
  if (extension !== undefined) {
    throw invalidRequest(param, `'${param}' and '${extension.param}' cannot be used together.`)
  }
  if (!isObject(format)) throw invalidValue(param, format, 'an object')
  if (format.type !== 'json_schema') {
    throw invalidValue(`${param}.type`, format.type ?? undefined, "'json_schema'")
  }
  if (!isObject(format.schema)) {
    throw invalidValue(`${param}.schema`, format.schema ?? undefined, 'a JSON schema object')
  }
  const schema = format.schema as JsonObject
  return { grammar: { type: 'json_schema', schema }, param: `${param}.schema` }
}

function toStopSequences(stop: unknown): string[] {
  if (stop === undefined || stop === null) return []
  if (!Array.isArray(stop) || stop.length > MAX_STOP_SEQUENCES) {
    throw invalidValue('stop_sequences', stop, `an array of up to ${MAX_STOP_SEQUENCES} strings`)
  }
  return stop.map((value: unknown, i) => {
    if (typeof value === 'string' && value !== '') return value
    throw invalidRequest(
      `stop_sequences[${i}]`,
      `'stop_sequences[${i}]' must be a non-empty string.`,
    )
  })
}
