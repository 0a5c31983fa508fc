import type { GenerateEvent, TokenLogprob, Usage } from '../engine.ts'
import type { Reply } from '../http/reply.ts'
import { chatLogprobs } from './chatLogprobs.ts'
import type { ChatFormat } from './chatRequest.ts'
import { type ChoiceEvent, ChunkEncoder, DONE } from './streamFrames.ts'
import { CallDeltas, chatFinish } from './toolCallBodies.ts'
import { usageBody } from './usage.ts'

type CallEvent = Extract<GenerateEvent, { kind: 'tool_call_delta' }>

const CONTENT = ['content']
const REASONING = ['reasoning_content']
const BOTH_REASONING = ['reasoning_content', 'reasoning']

/**
 * Encodes a run as `chat.completion.chunk` frames. Per choice: a role chunk with its first event, deltas, a finish chunk
 * on its own; then usage and `[DONE]`. Only the text of a chunk is serialized, the rest is built once.
 */
export class ChatStream extends ChunkEncoder {
  readonly #format: ChatFormat
  /** By choice, of those that have begun. */
  readonly #calls: (CallDeltas | undefined)[]
  #numFinished = 0
  /** The last finish chunk waits for the usage it may have to carry. */
  #heldFinish = ''

  /** @param cachedTokens of the prompt, told with its progress */
  constructor(reply: Reply, format: ChatFormat, cachedTokens: number) {
    super('chat.completion.chunk', reply, format, cachedTokens)
    this.#format = format
    this.#calls = Array.from({ length: format.numChoices })
  }

  protected override encodeChoice(event: ChoiceEvent): string {
    const { index } = event
    if (index >= this.#format.numChoices) return ''
    const opening = this.#opening(index)
    switch (event.kind) {
      case 'text':
        return opening + this.#textDelta(index, CONTENT, event.text, this.#logprobs(event.logprobs))
      case 'reasoning': {
        const fields = this.#format.includeReasoning ? BOTH_REASONING : REASONING
        const logprobs = this.#logprobs([], event.logprobs)
        return opening + this.#textDelta(index, fields, event.text, logprobs)
      }
      case 'tool_call_delta':
        return opening + this.#callDeltas(event)
      case 'finish':
        return opening + this.#finish(event)
      default:
        return opening
    }
  }

  // Opened first, as some clients take the role from the first chunk.
  protected override encodeProgress(field: string): string {
    const frame = `${this.#choiceHead(0)}{},"logprobs":null,"finish_reason":null}],${field}`
    return this.#opening(0) + frame + this.tail.slice(1)
  }

  protected override encodeUsage(usage: Usage): string {
    const body = usageBody(usage, this.#format.strictOpenai)
    if (this.#format.streamUsage === 'chunk') return this.usageChunk(body) + DONE
    if (this.#heldFinish === '') return DONE
    return `${this.#heldFinish}],"usage":${JSON.stringify(body)}}\n\n${DONE}`
  }

  #choiceHead(index: number): string {
    return `${this.head}"choices":[{"index":${index},"delta":`
  }

  #delta(index: number, fields: string, logprobs = 'null'): string {
    const head = this.#choiceHead(index)
    return `${head}{${fields}},"logprobs":${logprobs},"finish_reason":null}${this.tail}`
  }

  #opening(index: number): string {
    if (this.#calls[index] !== undefined) return ''
    this.#calls[index] = new CallDeltas(this.#format.calls)
    return this.#delta(index, '"role":"assistant","content":"","refusal":null')
  }

  #textDelta(index: number, fields: string[], text: string, logprobs: string | undefined): string {
    if (text === '' && logprobs === undefined) return ''
    const json = JSON.stringify(text)
    return this.#delta(index, fields.map(field => `"${field}":${json}`).join(), logprobs)
  }

  #callDeltas(event: CallEvent): string {
    const { index } = event
    const logprobs = this.#logprobs(event.logprobs)
    const all = this.#calls[index]?.of(event) ?? []
    const deltas = all.map(fields => JSON.stringify(fields).slice(1, -1))
    // The last piece carries the tokens; without one they come on their own.
    const last = deltas.pop() ?? (logprobs === undefined ? undefined : '')
    const frames = deltas.map(fields => this.#delta(index, fields))
    if (last !== undefined) frames.push(this.#delta(index, last, logprobs))
    return frames.join('')
  }

  #finish({ index, reason }: Extract<GenerateEvent, { kind: 'finish' }>): string {
    const { calls, numChoices, streamUsage } = this.#format
    this.#numFinished++
    const end = `{},"logprobs":null,"finish_reason":"${chatFinish(reason, calls)}"}`
    const body = this.#choiceHead(index) + end
    if (streamUsage !== 'finish' || this.#numFinished < numChoices) return body + this.tail
    this.#heldFinish = body
    return ''
  }

  #logprobs(content: TokenLogprob[] = [], reasoning: TokenLogprob[] = []): string | undefined {
    return this.#format.logprobs && content.length + reasoning.length > 0
      ? JSON.stringify(chatLogprobs(content, reasoning))
      : undefined
  }
}
