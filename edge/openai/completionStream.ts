import type { TokenLogprob, Usage } from '../engine.ts'
import type { Reply } from '../http/reply.ts'
import type { CompletionFormat } from './completionRequest.ts'
import { completionFinish } from './completionResponse.ts'
import { LegacyLogprobCounter } from './legacyLogprobs.ts'
import { type ChoiceEvent, ChunkEncoder, DONE } from './streamFrames.ts'
import { usageBody } from './usage.ts'

interface ChoiceState {
  counter: LegacyLogprobCounter
  started: boolean
  /** Which of the prompts it continues. */
  prompt: number
  promptLogprobs: TokenLogprob[]
}

/** Encodes a run as streamed `text_completion` frames; a choice begins with its prompt when the request asked for that. */
export class CompletionStream extends ChunkEncoder {
  readonly #format: Omit<CompletionFormat, 'prompts'>
  readonly #echoes: string[]
  readonly #choices: ChoiceState[]

  /**
   * @param echoes text of each prompt, when the request asked to repeat it
   * @param cachedTokens of the prompts, told with their progress
   */
  constructor(reply: Reply, format: CompletionFormat, echoes: string[], cachedTokens: number) {
    super('text_completion', reply, format, cachedTokens)
    // Prompts may be long.
    const { prompts, ...rest } = format
    this.#format = rest
    this.#echoes = echoes
    this.#choices = Array.from({ length: prompts.length * format.n }, (_, index) => ({
      counter: new LegacyLogprobCounter(),
      started: false,
      prompt: Math.floor(index / format.n),
      promptLogprobs: [],
    }))
  }

  protected override encodeChoice(event: ChoiceEvent): string {
    const { index } = event
    const choice = this.#choices[index]
    if (choice === undefined) return ''
    if (event.kind === 'prompt_logprobs') {
      // In pieces, when the prompt is long.
      choice.promptLogprobs.push(...event.logprobs)
      return ''
    }
    if (event.kind === 'finish') {
      const end = this.#chunk(index, '', null, `"${completionFinish(event.reason)}"`)
      return this.#opening(index, choice) + end
    }
    if (event.kind !== 'text' && event.kind !== 'reasoning') return ''
    const start = this.#opening(index, choice)
    const tokens = this.#format.logprobs ? (event.logprobs ?? []) : []
    if (event.text === '' && tokens.length === 0) return start
    const logprobs = tokens.length > 0 ? choice.counter.generated(tokens) : null
    return start + this.#chunk(index, event.text, logprobs)
  }

  protected override encodeProgress(field: string): string {
    const end = `"","logprobs":null,"finish_reason":null}],${field}${this.tail.slice(1)}`
    return this.#choiceHead(0) + end
  }

  protected override encodeUsage(usage: Usage): string {
    const { streamUsage, strictOpenai } = this.#format
    const body = usageBody(usage, strictOpenai)
    return (streamUsage === 'chunk' ? this.usageChunk(body) : '') + DONE
  }

  #choiceHead(index: number): string {
    return `${this.head}"choices":[{"index":${index},"text":`
  }

  #chunk(index: number, text: string, logprobs: object | null, finish = 'null'): string {
    const told = `"logprobs":${JSON.stringify(logprobs)},"finish_reason":${finish}}`
    return `${this.#choiceHead(index)}${JSON.stringify(text)},${told}${this.tail}`
  }

  #opening(index: number, choice: ChoiceState): string {
    if (choice.started) return ''
    choice.started = true
    const echo = this.#echoes[choice.prompt] ?? ''
    // They are reported with the first choice of a prompt, and each choice shows them with its first text.
    const tokens = this.#choices[choice.prompt * this.#format.n]?.promptLogprobs
    const logprobs = this.#format.logprobs ? choice.counter.prompt(tokens ?? [], echo) : null
    return echo === '' ? '' : this.#chunk(index, echo, logprobs)
  }
}
