import { randomBytes } from 'node:crypto'
import type {
  EngineErrorData,
  FinishReason,
  GenerateEvent,
  GenerateJob,
  TokenLogprob,
} from '../../edge/engine.ts'
import type { Sequence } from '../scheduler/sequence.ts'
import type { Detokenizer } from '../text/tokenizer/detokenizer.ts'
import type { EventQueue } from './eventQueue.ts'
import { ChoiceOutput, type ChoiceOutputOptions, type OutputDelta } from './output/choiceOutput.ts'

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

  addChoice(
    index: number,
    sequence: Sequence,
    detokenizer: Detokenizer,
    options: Omit<ChoiceOutputOptions, 'stops'>,
  ): void {
    const output = new ChoiceOutput(detokenizer, { ...options, stops: this.job.stop })
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
  ): FinishReason | undefined {
    const choice = this.choices.get(sequence)
    if (choice === undefined) return undefined
    if (this.#firstTokenMs < 0) this.#firstTokenMs = nowMs
    const isEnd = sequence.finishReason === 'stop'
    const { output } = choice
    if (token >= 0 && !isEnd) this.#pushOutput(choice, output.push(token, logprob))
    if (output.end === undefined) {
      if (sequence.finishReason === null) return undefined
      this.#pushOutput(choice, output.flush())
    }
    return this.#finish(choice, nowMs)
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

  #pushOutput({ index }: Choice, deltas: readonly OutputDelta[]): void {
    for (const { logprobs, ...delta } of deltas) {
      const scored = this.job.logprobs !== undefined && { logprobs }
      if (delta.kind !== 'call') {
        this.queue.push({ ...delta, index, ...scored })
        continue
      }
      const { kind: _, name, ...piece } = delta
      const named = name !== undefined && { id: callId(), name }
      this.queue.push({ kind: 'tool_call_delta', index, ...piece, ...named, ...scored })
    }
  }

  #finish({ index, sequence, output }: Choice, nowMs: number): FinishReason {
    const stopString = output.end?.kind === 'stop' ? output.end.stopString : undefined
    const isCut = output.end === undefined && sequence.finishReason === 'length'
    const reason = isCut ? 'length' : output.numCalls > 0 ? 'tool_calls' : 'stop'
    this.queue.push({
      kind: 'finish',
      index,
      reason,
      ...(reason === 'stop' && stopString !== undefined && { stopString }),
    })
    if (--this.#numUnfinished === 0) this.queue.push({ kind: 'usage', ...this.#usage(nowMs) })
    return reason
  }

  #usage(nowMs: number): Omit<Extract<GenerateEvent, { kind: 'usage' }>, 'v' | 'seq' | 'kind'> {
    let promptTokens = 0
    let cachedTokens = 0
    let completionTokens = 0
    let reasoningTokens = 0
    for (const { index, sequence, output } of this.choices.values()) {
      completionTokens += sequence.numGenerated
      reasoningTokens += output.numReasoningTokens
      if (index % this.job.n !== 0) continue
      promptTokens += sequence.promptLength
      cachedTokens += sequence.cachedTokens
    }
    const firstMs = this.#firstTokenMs < 0 ? nowMs : this.#firstTokenMs
    return {
      promptTokens,
      cachedTokens,
      completionTokens,
      reasoningTokens,
      promptMs: firstMs - this.acceptedMs,
      completionMs: nowMs - firstMs,
    }
  }
}

/** 24 letters and digits. */
function callId(): string {
  return randomBytes(12).toString('hex')
}
