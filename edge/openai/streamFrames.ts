import type { EngineErrorData } from '../engine.ts'
import { streamErrorBody } from './errorBody.ts'
import type { Reply } from './reply.ts'

export const DONE = 'data: [DONE]\n\n'

/** The beginning that all chunks of one stream share, up to and without `"choices"`. */
export function streamHead(
  object: 'chat.completion.chunk' | 'text_completion',
  reply: Reply,
): string {
  const shared = JSON.stringify({
    id: reply.id,
    object,
    created: reply.created,
    model: reply.model,
    system_fingerprint: reply.fingerprint,
    ...(object === 'chat.completion.chunk' && { service_tier: 'default' }),
  })
  return `data: ${shared.slice(0, -1)},`
}

export function usageChunk(head: string, usage: object): string {
  return `${head}"choices":[],"usage":${JSON.stringify(usage)}}\n\n`
}

export function errorFrames(error: EngineErrorData): string {
  return `data: ${JSON.stringify(streamErrorBody(error))}\n\n${DONE}`
}
