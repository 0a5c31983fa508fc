import type { GenerateEvent, TokenLogprob, Usage } from '../engine.ts'
import type { Reply } from '../reply.ts'
import type { StreamEncoder } from '../sse.ts'
import { chatLogprobs } from './chatLogprobs.ts'
import type { ChatFormat } from './chatRequest.ts'
import { createStreamEncoder, DONE, streamHead, usageChunk } from './streamFrames.ts'
import { usageBody } from './usage.ts'

/**
 * Encodes a run as `chat.completion.chunk` frames. Per choice: a role chunk with its first event, deltas, a finish chunk
 * on its own; then usage and `[DONE]`. Only the text of a chunk is serialized, the rest is built once.
 */
export function createChatStream(reply: Reply, format: ChatFormat): StreamEncoder {
  const head = streamHead('chat.completion.chunk', reply)
  const tail = format.streamUsage === 'chunk' ? ',"usage":null}\n\n' : '}\n\n'
  const choiceHeads = Array.from(
    { length: format.numChoices },
    (_, index) => `${head}"choices":[{"index":${index},"delta":`,
  )
  const unfinished = `,"finish_reason":null}]${tail}`
  const plainEnd = `},"logprobs":null${unfinished}`
  const started = new Set<number>()
  let numFinished = 0
  /** The last finish chunk waits for the usage it may have to carry. */
  let heldFinish = ''

  const delta = (choiceHead: string, fields: string, logprobs: string | undefined) =>
    logprobs === undefined
      ? `${choiceHead}{${fields}${plainEnd}`
      : `${choiceHead}{${fields}},"logprobs":${logprobs}${unfinished}`

  const logprobsJson = (content: TokenLogprob[] = [], reasoning: TokenLogprob[] = []) =>
    format.logprobs && content.length + reasoning.length > 0
      ? JSON.stringify(chatLogprobs(content, reasoning))
      : undefined

  const opening = (index: number, choiceHead: string) => {
    if (started.has(index)) return ''
    started.add(index)
    return delta(choiceHead, '"role":"assistant","content":"","refusal":null', undefined)
  }

  const encodeChoice = (event: GenerateEvent & { index: number }, choiceHead: string): string => {
    if (event.kind === 'text') {
      const logprobs = logprobsJson(event.logprobs)
      if (event.text === '' && logprobs === undefined) return ''
      return delta(choiceHead, `"content":${JSON.stringify(event.text)}`, logprobs)
    }
    if (event.kind === 'reasoning') {
      const logprobs = logprobsJson([], event.logprobs)
      if (event.text === '' && logprobs === undefined) return ''
      const text = JSON.stringify(event.text)
      const second = format.includeReasoning ? `,"reasoning":${text}` : ''
      return delta(choiceHead, `"reasoning_content":${text}${second}`, logprobs)
    }
    if (event.kind === 'finish') {
      numFinished++
      const body = `${choiceHead}{},"logprobs":null,"finish_reason":"${event.reason}"}]`
      if (format.streamUsage !== 'finish' || numFinished < format.numChoices) return body + tail
      heldFinish = body
    }
    return ''
  }

  const encodeUsage = (usage: Usage): string => {
    const body = usageBody(usage, format.strictOpenai)
    if (format.streamUsage === 'chunk') return usageChunk(head, body) + DONE
    return heldFinish === '' ? DONE : `${heldFinish},"usage":${JSON.stringify(body)}}\n\n${DONE}`
  }

  return createStreamEncoder({
    choice(event) {
      const choiceHead = choiceHeads[event.index]
      if (choiceHead === undefined) return ''
      return opening(event.index, choiceHead) + encodeChoice(event, choiceHead)
    },
    usage: encodeUsage,
  })
}
