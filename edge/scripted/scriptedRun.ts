import type { EngineErrorData, GenerateEvent, GenerateJob, ModelInfo } from '../engine.ts'
import { ScriptedChoice, scriptedLogprob } from './scriptedChoice.ts'
import {
  END_TOKEN,
  scriptedHash,
  scriptedText,
  scriptedTokens,
  scriptedWords,
} from './scriptedVocabulary.ts'

/** How an accepted job plays. */
export interface ScriptedRunOptions {
  /** Fixes the text of every choice; otherwise it follows from prompt, seed and choice. */
  reply?: (prompt: string, choice: number) => string
  /** Plays exactly these events, a list for each step, instead of any text; or what a job is answered with, if anything. */
  events?: EventBody[][] | ((job: GenerateJob) => EventBody[][] | undefined)
  /** Sent as reasoning before the text when the job asks for it. */
  reasoning?: string
  promptDelayMs?: number
  stepDelayMs?: number
  /** Tokens of one choice in one batch of events. */
  tokensPerStep?: number
  failAfterSteps?: { steps: number; error: EngineErrorData }
}

export interface ScriptedRun {
  job: GenerateJob
  prompts: number[][]
  model: ModelInfo
  options: ScriptedRunOptions
  signal: AbortSignal
  /** Aborts when somebody other than the reader ends the job. */
  cancelled: AbortSignal
  ready: Promise<void>
  end: (completed: boolean) => void
}

/** An event without what the run adds. */
export type EventBody = GenerateEvent extends infer E
  ? E extends unknown
    ? Omit<E, 'v' | 'seq'>
    : never
  : never

/** Plays an accepted job: every step advances all its choices. */
export async function* runJob(run: ScriptedRun): AsyncGenerator<GenerateEvent[]> {
  const { job, prompts, options, end, cancelled } = run
  const signal = AbortSignal.any([run.signal, cancelled])
  let seq = 0
  const batch = (bodies: EventBody[]) =>
    bodies.map(body => ({ v: 1, seq: seq++, ...body }) as GenerateEvent)
  let completed = false
  try {
    await run.ready
    await pause(options.promptDelayMs ?? 0, signal)
    const startMs = performance.now()
    const { events } = options
    const script = typeof events === 'function' ? events(job) : events
    if (script !== undefined) {
      for (const bodies of script) {
        await pause(options.stepDelayMs ?? 0, signal)
        completed ||= bodies.some(({ kind }) => kind === 'usage')
        yield batch(bodies)
      }
      return
    }
    const first = job.promptLogprobs
      ? prompts.map((ids, p) => promptEvent(ids, p * job.n, job))
      : []
    if (first.length > 0) yield batch(first)
    const choices = prompts.flatMap((ids, p) =>
      Array.from({ length: job.n }, (_, j) => createChoice(run, ids, p * job.n + j, j)),
    )
    for (let steps = 0; choices.some(({ done }) => !done); steps++) {
      await pause(options.stepDelayMs ?? 0, signal)
      if (steps === options.failAfterSteps?.steps) {
        yield batch([{ kind: 'error', error: options.failAfterSteps.error }])
        return
      }
      const bodies = choices.flatMap(choice => choice.step(options.tokensPerStep ?? 1))
      if (bodies.length > 0) yield batch(bodies)
    }
    const reasoningTokens = choices.reduce((sum, c) => sum + c.numReasoningTokens, 0)
    completed = true
    yield batch([
      {
        kind: 'usage',
        promptTokens: prompts.flat().length,
        cachedTokens: 0,
        completionTokens: choices.reduce((sum, c) => sum + c.numTokens(), reasoningTokens),
        reasoningTokens,
        promptMs: options.promptDelayMs ?? 0,
        completionMs: performance.now() - startMs,
      },
    ])
  } catch (error) {
    // An aborted run ends without further events and without throwing, as the contract has it.
    if (!signal.aborted) throw error
    if (cancelled.aborted && !run.signal.aborted) {
      yield batch([
        { kind: 'error', error: { kind: 'cancelled', message: 'The job was cancelled.' } },
      ])
    }
  } finally {
    end(completed)
  }
}

function createChoice(
  { job, model, options }: ScriptedRun,
  prompt: number[],
  index: number,
  j: number,
) {
  const thinks = job.prompt.kind === 'chat' && job.prompt.reasoning?.enabled === true
  let reasoning = thinks ? (options.reasoning ?? 'Let me think.') : ''
  const maxTokens = job.maxTokens ?? (model.maxModelLen ?? 4096) - prompt.length
  const choice = new ScriptedChoice(job, replyTokens(job, options, prompt, j), maxTokens)
  const state = {
    done: false,
    numReasoningTokens: scriptedTokens(reasoning).length,
    numTokens: () => choice.numTokens,
    step(numTokens: number): EventBody[] {
      const events: EventBody[] = []
      if (reasoning !== '') events.push({ kind: 'reasoning', index, text: reasoning })
      reasoning = ''
      for (let i = 0; i < numTokens && !state.done; i++) {
        const { text, logprobs, finish } = choice.next()
        if (text !== '' || logprobs.length > 0) {
          events.push({ kind: 'text', index, text, ...(job.logprobs && { logprobs }) })
        }
        if (finish !== undefined) {
          state.done = true
          events.push({ kind: 'finish', index, ...finish })
        }
      }
      return events
    },
  }
  return state
}

function* replyTokens(
  job: GenerateJob,
  { reply }: ScriptedRunOptions,
  prompt: number[],
  j: number,
): Generator<number> {
  const text = scriptedText(prompt)
  const hash = scriptedHash(text, job.sampling.seed ?? 'no seed', j)
  const words = scriptedWords(hash)
  if (reply !== undefined) yield* scriptedTokens(reply(text, j))
  else for (let left = 8 + (hash % 17); left > 0; left--) yield words.next().value
  if (job.ignoreEos) yield* words
  yield END_TOKEN
}

function promptEvent(ids: number[], index: number, job: GenerateJob): EventBody {
  const logprobs = ids.map((id, i) => {
    const told = scriptedLogprob(id, job.logprobs?.top ?? 0)
    return i === 0 ? { ...told, logprob: null, top: [] } : told
  })
  return { kind: 'prompt_logprobs', index, logprobs }
}

/** Rejects when the signal aborts before the time is over. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  if (ms <= 0) return
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  signal.addEventListener('abort', () => resolve(), { once: true })
  await promise
  clearTimeout(timer)
  signal.throwIfAborted()
}
