import type { Accepted, Engine, GenerateJob } from '../../edge/engine.ts'
import { createScriptedEngine, scriptedModel } from '../../edge/scripted/scriptedEngine.ts'
import { EventQueue } from '../../runtime/engine/eventQueue.ts'

/** What a synthetic job plays; it travels as JSON in the last message of its prompt. */
export interface Script {
  steps: number
  /** Events of the job in one step; default 1. */
  eventsPerStep?: number
  /** Length of each event's text; default 4. */
  textBytes?: number
  /** Time between steps; default 0: a step whenever the event loop comes round. */
  stepMs?: number
  /** Length of a first message; default: there is none. */
  promptBytes?: number
  /** Each text is `@` and the time it was made at, in nanoseconds of the clock that all processes share. */
  stamped?: boolean
}

/** A job that is being played. */
interface Run {
  script: Script
  queue: EventQueue
  text: string
  stepsDone: number
  startMs: number
}

/**
 * An engine that costs next to nothing: one loop makes a step for every job that is not paused, through the same event
 * queue and with the same pause rule as the scheduler.
 */
export function createSyntheticEngine(): Engine {
  const active = new Set<Run>()
  let isLooping = false
  let numJobs = 0

  const stepsDue = ({ script, stepsDone, startMs }: Run, nowMs: number) => {
    const due = script.stepMs ? 1 + Math.floor((nowMs - startMs) / script.stepMs) - stepsDone : 1
    return Math.min(due, script.steps - stepsDone)
  }

  const finish = ({ script, queue }: Run) => {
    queue.push({ kind: 'finish', index: 0, reason: 'length' })
    queue.push({
      kind: 'usage',
      promptTokens: 1,
      cachedTokens: 0,
      completionTokens: script.steps * (script.eventsPerStep ?? 1),
      reasoningTokens: 0,
      promptMs: 0,
      completionMs: 0,
    })
    queue.close()
  }

  const advance = (run: Run, nowMs: number) => {
    const { script, queue } = run
    for (let due = stepsDue(run, nowMs); due > 0 && !queue.isFull; due--) {
      run.stepsDone++
      const text = script.stamped ? `@${process.hrtime.bigint()}` : run.text
      for (let i = script.eventsPerStep ?? 1; i > 0; i--)
        queue.push({ kind: 'text', index: 0, text })
    }
    if (run.stepsDone === script.steps) {
      active.delete(run)
      finish(run)
    } else {
      if (queue.isFull) active.delete(run)
      queue.flush()
    }
  }

  const loop = () => {
    const nowMs = performance.now()
    let isUnpaced = false
    for (const run of active) {
      advance(run, nowMs)
      isUnpaced ||= !run.script.stepMs
    }
    isLooping = active.size > 0
    if (isUnpaced) setImmediate(loop)
    else if (isLooping) setTimeout(loop, 1)
  }

  const play = (run: Run) => {
    if (run.stepsDone === run.script.steps) return
    // What a paused job missed is not made up for.
    run.startMs = performance.now() - run.stepsDone * (run.script.stepMs ?? 0)
    active.add(run)
    if (isLooping) return
    isLooping = true
    setImmediate(loop)
  }

  return {
    ...createScriptedEngine(),
    async submit(job, signal): Promise<Accepted> {
      const script = scriptOf(job)
      const end = () => {
        active.delete(run)
        run.queue.abandon()
      }
      const run: Run = {
        script,
        queue: new EventQueue(() => play(run), end),
        text: 'x'.repeat(script.textBytes ?? 4),
        stepsDone: 0,
        startMs: 0,
      }
      signal.addEventListener('abort', end)
      play(run)
      return {
        jobId: `synthetic-${++numJobs}`,
        model: scriptedModel.id,
        fingerprint: null,
        promptTokens: 1,
        cachedTokens: 0,
        queuePosition: 0,
        events: run.queue,
      }
    },
  }
}

function scriptOf({ prompt }: GenerateJob): Script {
  const content = prompt.kind === 'chat' ? prompt.messages.at(-1)?.content : undefined
  return JSON.parse(String(content)) as Script
}
