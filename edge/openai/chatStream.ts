import type { GenerateEvent, TokenLogprob, Usage } from '../engine.ts'
import type { Reply } from '../http/reply.ts'
import type { StreamEncoder } from '../jobs/sse.ts'
import { chatLogprobs } from './chatLogprobs.ts'
import type { ChatFormat } from './chatRequest.ts'
import { createChunkStream, DONE, progressField, streamHead, usageChunk } from './streamFrames.ts'
import { CallDeltas, chatFinish } from './toolCallBodies.ts'
import { usageBody } from './usage.ts'

/**
 * Encodes a run as `chat.completion.chunk` frames. Per choice: a role chunk with its first event, deltas, a finish chunk
 * on its own; then usage and `[DONE]`. Only the text of a chunk is serialized, the rest is built once.
 * @param cachedTokens of the prompt, told with its progress
 */
export function createChatStream(
  reply: Reply,
  format: ChatFormat,
  cachedTokens: number,
): StreamEncoder {
  const head = streamHead('chat.completion.chunk', reply)
  const tail = format.streamUsage === 'chunk' ? ',"usage":null}\n\n' : '}\n\n'
  const choices = Array.from({ length: format.numChoices }, (_, index) => ({
    head: `${head}"choices":[{"index":${index},"delta":`,
    started: false,
    calls: new CallDeltas(format.calls),
  }))
  type ChoiceState = (typeof choices)[number]
  const unfinished = `,"finish_reason":null}]${tail}`
  const plainEnd = `},"logprobs":null${unfinished}`
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

  const opening = (choice: ChoiceState) => {
    if (choice.started) return ''
    choice.started = true
    return delta(choice.head, '"role":"assistant","content":"","refusal":null', undefined)
  }

  const textDelta = (choice: ChoiceState, fields: string[], text: string, logprobs?: string) => {
    if (text === '' && logprobs === undefined) return ''
    const json = JSON.stringify(text)
    return delta(choice.head, fields.map(field => `"${field}":${json}`).join(), logprobs)
  }

  const callDeltas = (choice: ChoiceState, event: CallEvent) => {
    const logprobs = logprobsJson(event.logprobs)
    const deltas = choice.calls.of(event).map(fields => JSON.stringify(fields).slice(1, -1))
    // The last piece carries the tokens; without one they come on their own.
    const last = deltas.pop() ?? (logprobs === undefined ? undefined : '')
    const frames = deltas.map(fields => delta(choice.head, fields, undefined))
    if (last !== undefined) frames.push(delta(choice.head, last, logprobs))
    return frames.join('')
  }

  const encodeChoice = (event: GenerateEvent & { index: number }, choice: ChoiceState): string => {
    switch (event.kind) {
      case 'text':
        return textDelta(choice, CONTENT, event.text, logprobsJson(event.logprobs))
      case 'reasoning': {
        const fields = format.includeReasoning ? BOTH_REASONING : REASONING
        return textDelta(choice, fields, event.text, logprobsJson([], event.logprobs))
      }
      case 'tool_call_delta':
        return callDeltas(choice, event)
      case 'finish': {
        numFinished++
        const reason = chatFinish(event.reason, format.calls)
        const body = `${choice.head}{},"logprobs":null,"finish_reason":"${reason}"}]`
        if (format.streamUsage !== 'finish' || numFinished < format.numChoices) return body + tail
        heldFinish = body
        return ''
      }
      default:
        return ''
    }
  }

  const encodeUsage = (usage: Usage): string => {
    const body = usageBody(usage, format.strictOpenai)
    if (format.streamUsage === 'chunk') return usageChunk(head, body) + DONE
    return heldFinish === '' ? DONE : `${heldFinish},"usage":${JSON.stringify(body)}}\n\n${DONE}`
  }

  const [first] = choices

  return createChunkStream({
    choice(event) {
      const choice = choices[event.index]
      return choice === undefined ? '' : opening(choice) + encodeChoice(event, choice)
    },
    // Opened first, as some clients take the role from the first chunk.
    progress(event) {
      if (first === undefined) return ''
      const field = progressField(event, cachedTokens)
      const frame = `${first.head}{},"logprobs":null,"finish_reason":null}],${field}${tail}`
      return opening(first) + frame
    },
    usage: encodeUsage,
  })
}

type CallEvent = Extract<GenerateEvent, { kind: 'tool_call_delta' }>

const CONTENT = ['content']
const REASONING = ['reasoning_content']
const BOTH_REASONING = ['reasoning_content', 'reasoning']
