import type { GenerateEvent, TokenLogprob, Usage } from '../engine.ts'
import type { Reply } from '../http/reply.ts'
import type { StreamEncoder } from '../jobs/sse.ts'
import type { CompletionFormat } from './completionRequest.ts'
import { completionFinish } from './completionResponse.ts'
import { LegacyLogprobCounter } from './legacyLogprobs.ts'
import { createChunkStream, DONE, progressField, streamHead, usageChunk } from './streamFrames.ts'
import { usageBody } from './usage.ts'

/**
 * Encodes a run as streamed `text_completion` frames; a choice begins with its prompt when the request asked for that.
 * @param echoes text of each prompt, when the request asked to repeat it
 * @param cachedTokens of the prompts, told with their progress
 */
export function createCompletionStream(
  reply: Reply,
  format: CompletionFormat,
  echoes: string[],
  cachedTokens: number,
): StreamEncoder {
  const head = streamHead('text_completion', reply)
  const tail = format.streamUsage === 'chunk' ? '}],"usage":null}\n\n' : '}]}\n\n'
  const numChoices = format.prompts.length * format.n
  const choices = Array.from({ length: numChoices }, (_, index) => ({
    head: `${head}"choices":[{"index":${index},"text":`,
    counter: new LegacyLogprobCounter(),
    started: false,
    p: Math.floor(index / format.n),
    promptLogprobs: [] as TokenLogprob[],
  }))
  type ChoiceState = (typeof choices)[number]

  const chunk = (choice: ChoiceState, text: string, logprobs: object | null, finish = 'null') =>
    `${choice.head}${JSON.stringify(text)},"logprobs":${JSON.stringify(logprobs)},"finish_reason":${finish}${tail}`

  const opening = (choice: ChoiceState) => {
    if (choice.started) return ''
    choice.started = true
    const echo = echoes[choice.p] ?? ''
    // They are reported with the first choice of a prompt, and each choice shows them with its first text.
    const tokens = choices[choice.p * format.n]?.promptLogprobs
    const logprobs = format.logprobs ? choice.counter.prompt(tokens ?? [], echo) : null
    return echo === '' ? '' : chunk(choice, echo, logprobs)
  }

  const encodeChoice = (event: GenerateEvent & { index: number }, choice: ChoiceState) => {
    if (event.kind === 'prompt_logprobs') {
      // In pieces, when the prompt is long.
      choice.promptLogprobs.push(...event.logprobs)
      return ''
    }
    if (event.kind === 'finish') {
      return opening(choice) + chunk(choice, '', null, `"${completionFinish(event.reason)}"`)
    }
    if (event.kind !== 'text' && event.kind !== 'reasoning') return ''
    const start = opening(choice)
    const tokens = format.logprobs ? (event.logprobs ?? []) : []
    if (event.text === '' && tokens.length === 0) return start
    const logprobs = tokens.length > 0 ? choice.counter.generated(tokens) : null
    return start + chunk(choice, event.text, logprobs)
  }

  const progress = (event: Extract<GenerateEvent, { kind: 'progress' }>) => {
    const [first] = choices
    if (first === undefined) return ''
    const end = `,${progressField(event, cachedTokens)}${tail.slice(2)}`
    return `${first.head}"","logprobs":null,"finish_reason":null}]${end}`
  }

  const encodeUsage = (usage: Usage) => {
    const body = usageBody(usage, format.strictOpenai)
    return (format.streamUsage === 'chunk' ? usageChunk(head, body) : '') + DONE
  }

  return createChunkStream({
    choice(event) {
      const choice = choices[event.index]
      return choice === undefined ? '' : encodeChoice(event, choice)
    },
    progress,
    usage: encodeUsage,
  })
}
