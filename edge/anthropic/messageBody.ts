import type { Accepted, FinishReason, Usage } from '../engine.ts'
import type { Reply } from '../http/reply.ts'
import type { ContentBlock } from './contentBlocks.ts'

/** How the choice of a run ended. */
export interface Finish {
  reason: FinishReason
  stopString?: string
}

/** What the client asked that shows in how the end is told. */
export interface MessageFormat {
  /** false: thinking blocks come empty. */
  showThinking: boolean
  maxTokens: number | undefined
}

/** The `message` object: empty and open at the start of a stream, complete at the end. */
export function messageBody(
  reply: Reply,
  content: ContentBlock[],
  end: ReturnType<typeof messageEnd>,
  usage: object,
) {
  return {
    id: reply.id,
    type: 'message',
    role: 'assistant',
    model: reply.model,
    content,
    ...end,
    container: null,
    diagnostics: null,
    usage,
  }
}

/** `stop_reason` and its companions; all null while the run goes on. */
export function messageEnd(
  finish: Finish | undefined,
  outputTokens: number,
  { maxTokens }: MessageFormat,
) {
  return {
    stop_reason: finish === undefined ? null : stopReason(finish, outputTokens, maxTokens),
    stop_sequence: finish?.stopString ?? null,
    stop_details: null,
  }
}

function stopReason(
  { reason, stopString }: Finish,
  outputTokens: number,
  maxTokens: number | undefined,
) {
  if (reason === 'tool_calls') return 'tool_use'
  if (reason === 'stop') return stopString === undefined ? 'end_turn' : 'stop_sequence'
  // It was not the client's limit that ended it.
  return maxTokens === undefined || outputTokens < maxTokens
    ? 'model_context_window_exceeded'
    : 'max_tokens'
}

/** Anthropic counts tokens from the cache beside, not in, `input_tokens`. */
export function usageBody({
  promptTokens,
  cachedTokens,
  completionTokens,
  reasoningTokens,
}: Usage) {
  return {
    ...inputUsage({ promptTokens, cachedTokens }),
    output_tokens: completionTokens,
    output_tokens_details: { thinking_tokens: reasoningTokens },
  }
}

/** The usage a stream begins with. */
export function startUsage(accepted: Pick<Accepted, 'promptTokens' | 'cachedTokens'>) {
  return { ...inputUsage(accepted), output_tokens: 1, output_tokens_details: null }
}

function inputUsage({
  promptTokens,
  cachedTokens,
}: {
  promptTokens: number
  cachedTokens: number
}) {
  return {
    input_tokens: promptTokens - cachedTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cachedTokens,
    cache_creation: null,
    inference_geo: null,
    server_tool_use: null,
    service_tier: 'standard',
    speed: null,
  }
}
