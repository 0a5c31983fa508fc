import type {
  EngineErrorData,
  GenerateEvent,
  GenerateJob,
  TokenLogprob,
} from '../../edge/engine.ts'
import type { Detokenizer } from '../text/detokenizer.ts'
import { ChoiceOutput, type OutputDelta } from './choiceOutput.ts'
import type { EventQueue } from './eventQueue.ts'
import type { Sequence } from './sequence.ts'

interface Choice {
  index: number
  sequence: Sequence
  output: ChoiceOutput
}

/** One accepted job: its choices, and the events on their way to the reader. */
export class Job {
  readonly id: string
  readonly job: GenerateJob
  readonly acceptedMs: number
  readonly queue: EventQueue
  readonly choices = new Map<Sequence, Choice>()
  /** Called once, when nothing more will come. */
  onEnd: () => void = () => {}
  /** When the reader began to lag, -1 while it does not. */
  stalledSinceMs = -1
  #numUnfinished = 0
  #firstTokenMs = -1
  #lastProgress = ''

  constructor(id: string, job: GenerateJob, acceptedMs: number, queue: EventQueue) {
    this.id = id
    this.job = job
    this.acceptedMs = acceptedMs
    this.queue = queue
  }

  get sequences(): IterableIterator<Sequence> {
    return this.choices.keys()
  }

  addChoice(index: number, sequence: Sequence, detokenizer: Detokenizer): void {
    const output = new ChoiceOutput(detokenizer, this.job.stop)
    this.choices.set(sequence, { index, sequence, output })
    this.#numUnfinished++
  }

  /**
   * Takes a sampled token, or -1 when the sequence ended without one.
   * @returns why the choice ended with this token, if it did; its sequence must end too
   */
  takeToken(
    sequence: Sequence,
    token: number,
    logprob: TokenLogprob | undefined,
    nowMs: number,
  ): 'stop' | 'length' | undefined {
    const choice = this.choices.get(sequence)
    if (choice === undefined) return undefined
    if (this.#firstTokenMs < 0) this.#firstTokenMs = nowMs
    const isEnd = sequence.finishReason === 'stop'
    if (token >= 0 && !isEnd) {
      const delta = choice.output.push(token, logprob)
      this.#pushText(choice, delta)
      if (delta.stop !== undefined) {
        return this.#finish('stop', choice, nowMs, delta.stop)
      }
    }
    if (sequence.finishReason === null) return undefined
    const rest = choice.output.flush()
    this.#pushText(choice, rest)
    const reason = rest.stop === undefined ? sequence.finishReason : 'stop'
    return this.#finish(reason, choice, nowMs, rest.stop)
  }

  pushPromptLogprobs(leader: Sequence, logprobs: TokenLogprob[]): void {
    const index = this.choices.get(leader)?.index ?? 0
    this.queue.push({ kind: 'prompt_logprobs', index, logprobs })
  }

  /** Tells how far queueing and prefill are, when that changed. */
  pushProgress(queuePosition: number): void {
    if (this.#firstTokenMs >= 0) return
    let promptTokensDone = 0
    let promptTokens = 0
    for (const { index, sequence } of this.choices.values()) {
      if (index % this.job.n !== 0) continue
      promptTokens += sequence.promptLength
      promptTokensDone += Math.min(sequence.computed, sequence.promptLength)
    }
    const progress = `${queuePosition} ${promptTokensDone}`
    if (progress === this.#lastProgress) return
    this.#lastProgress = progress
    this.queue.push({ kind: 'progress', queuePosition, promptTokensDone, promptTokens })
  }

  pushError(error: EngineErrorData): void {
    this.queue.push({ kind: 'error', error })
  }

  get numUnfinished(): number {
    return this.#numUnfinished
  }

  get isDone(): boolean {
    return this.#numUnfinished === 0
  }

  #pushText({ index }: Choice, { text, logprobs }: OutputDelta): void {
    if (this.job.logprobs === undefined) {
      if (text !== '') this.queue.push({ kind: 'text', index, text })
    } else if (text !== '' || logprobs.length > 0) {
      this.queue.push({ kind: 'text', index, text, logprobs })
    }
  }

  #finish<R extends 'stop' | 'length'>(
    reason: R,
    { index }: Choice,
    nowMs: number,
    stopString?: string,
  ): R {
    this.queue.push({
      kind: 'finish',
      index,
      reason,
      ...(stopString !== undefined && { stopString }),
    })
    if (--this.#numUnfinished === 0) this.queue.push({ kind: 'usage', ...this.#usage(nowMs) })
    return reason
  }

  #usage(nowMs: number): Omit<Extract<GenerateEvent, { kind: 'usage' }>, 'v' | 'seq' | 'kind'> {
    let promptTokens = 0
    let cachedTokens = 0
    let completionTokens = 0
    for (const { index, sequence } of this.choices.values()) {
      completionTokens += sequence.numGenerated
      if (index % this.job.n !== 0) continue
      promptTokens += sequence.promptLength
      cachedTokens += sequence.cachedTokens
    }
    const firstMs = this.#firstTokenMs < 0 ? nowMs : this.#firstTokenMs
    return {
      promptTokens,
      cachedTokens,
      completionTokens,
      reasoningTokens: 0,
      promptMs: firstMs - this.acceptedMs,
      completionMs: nowMs - firstMs,
    }
  }
}
