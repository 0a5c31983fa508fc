import {
  EngineError,
  type FinishReason,
  type GenerateEvent,
  type TokenLogprob,
  type Usage,
} from '../engine.ts'
import type { JobRun } from './jobRun.ts'

/** One finished choice of a job. */
export interface Choice {
  index: number
  text: string
  reasoning: string
  toolCalls: ToolCall[]
  /** Of text and calls, in order. */
  logprobs: TokenLogprob[]
  reasoningLogprobs: TokenLogprob[]
  /** Of the first choice of a prompt; the others share them. */
  promptLogprobs: TokenLogprob[]
  reason: FinishReason
}

/** A call whose pieces are joined; `id` is 24 letters and digits. */
export interface ToolCall {
  id: string
  name: string
  arguments: string
}

export interface Collected {
  choices: Choice[]
  usage: Usage
}

/** Reads a whole run. @throws EngineError when the engine fails on the way. */
export async function collectRun(run: JobRun, numChoices: number): Promise<Collected> {
  const collector = createCollector(numChoices)
  return readRun(run, collector.add, collector.result)
}

/** Reads a whole run, and ends it when `take` or `result` throws. */
export async function readRun<T>(
  run: JobRun,
  take: (events: GenerateEvent[]) => void,
  result: () => T,
): Promise<T> {
  try {
    for (;;) {
      const { done, value } = await run.events.next()
      if (done) break
      take(value)
    }
    const collected = result()
    run.release()
    return collected
  } catch (error) {
    run.abort()
    throw error
  }
}

/** Folds the events of a job into its choices. Both calls throw EngineError: for an error event, or for a missing end. */
export function createCollector(numChoices: number) {
  const choices = Array.from({ length: numChoices }, (_, index) => emptyChoice(index))
  const finished = new Set<number>()
  let usage: Usage | undefined
  return {
    add(events: GenerateEvent[]): void {
      for (const event of events) {
        if (event.kind === 'error') throw new EngineError(event.error)
        if (event.kind === 'usage') usage = event
        if (!('index' in event)) continue
        const choice = choices[event.index]
        if (choice === undefined) continue
        if (event.kind === 'finish') finished.add(event.index)
        addToChoice(choice, event)
      }
    },
    result(): Collected {
      if (usage === undefined || finished.size < numChoices) throw endedEarly()
      return { choices, usage }
    },
  }
}

function addToChoice(choice: Choice, event: GenerateEvent & { index: number }): void {
  if (event.kind === 'text') {
    choice.text += event.text
    if (event.logprobs) choice.logprobs.push(...event.logprobs)
  } else if (event.kind === 'reasoning') {
    choice.reasoning += event.text
    if (event.logprobs) choice.reasoningLogprobs.push(...event.logprobs)
  } else if (event.kind === 'tool_call_delta') {
    const { id = '', name = '', arguments: text } = event
    const call = choice.toolCalls[event.call]
    if (call === undefined) choice.toolCalls[event.call] = { id, name, arguments: text }
    else call.arguments += text
    if (event.logprobs) choice.logprobs.push(...event.logprobs)
  } else if (event.kind === 'prompt_logprobs') choice.promptLogprobs.push(...event.logprobs)
  else if (event.kind === 'finish') choice.reason = event.reason
}

/** The engine broke its promise to complete every choice and report usage. */
export function endedEarly(): EngineError {
  return new EngineError({ kind: 'internal', message: 'The engine ended the job early.' })
}

function emptyChoice(index: number): Choice {
  return {
    index,
    text: '',
    reasoning: '',
    toolCalls: [],
    logprobs: [],
    reasoningLogprobs: [],
    promptLogprobs: [],
    reason: 'stop',
  }
}
