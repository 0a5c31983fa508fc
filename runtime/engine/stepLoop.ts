import type { NativeModel } from '../native.ts'
import type { Scheduler } from '../scheduler/scheduler.ts'
import type { StepPlan } from '../scheduler/stepPlan.ts'
import { type LaunchedStep, launchStep, type StepResult } from './launchStep.ts'

interface RunningStep extends LaunchedStep {
  plan: StepPlan
  launchedMs: number
}

export interface StepListener {
  /** Takes what a step gave: `ms` is its measured length, `nowMs` when it was done. */
  onResults(plan: StepPlan, result: StepResult, ms: number, nowMs: number): void
  /** Nothing could be planned, and no step is under way. */
  onIdle(): void
  /** A step, or taking its results, failed: the loop has ended. */
  onFailure(error: unknown): void
}

/** The second step is queued early only when steps are shorter than this: else it would only delay who arrives now. */
const planAheadMs = 30

/** Keeps the executor busy: plans steps, queues them ahead of results, and hands out the results in order. */
export class StepLoop {
  readonly #native: NativeModel
  readonly #scheduler: Scheduler
  readonly #vocabSize: number
  readonly #depth: number
  readonly #listener: StepListener
  readonly #steps: RunningStep[] = []
  #isRunning = false
  /** There may be more to plan than the last time. */
  #hasNews = false
  #lastDoneMs = 0

  /**
   * @param vocabSize tokens a mask speaks of
   * @param depth steps under way at once
   */
  constructor(
    native: NativeModel,
    scheduler: Scheduler,
    { vocabSize, depth }: { vocabSize: number; depth: number },
    listener: StepListener,
  ) {
    this.#native = native
    this.#scheduler = scheduler
    this.#vocabSize = vocabSize
    this.#depth = depth
    this.#listener = listener
  }

  get isRunning(): boolean {
    return this.#isRunning
  }

  /** Runs steps, unless it does already, until there are no more. */
  start(): void {
    this.#hasNews = true
    if (this.#isRunning) return
    this.#isRunning = true
    this.#run().catch(error => this.#listener.onFailure(error))
  }

  /** Forgets the steps under way, which will never report: the executor failed. */
  drop(): void {
    this.#steps.length = 0
    this.#scheduler.dropInFlight()
  }

  async #run(): Promise<void> {
    try {
      // Jobs submitted in the same turn share the first step.
      await Promise.resolve()
      for (;;) {
        this.#hasNews = false
        await this.#planAhead()
        const step = this.#steps.shift()
        if (step === undefined) {
          // A job may have come between the plan that found nothing and here.
          if (this.#hasNews) continue
          break
        }
        const result = await step.result
        const nowMs = performance.now()
        const ms = nowMs - Math.max(step.launchedMs, this.#lastDoneMs)
        this.#lastDoneMs = nowMs
        this.#listener.onResults(step.plan, result, ms, nowMs)
      }
    } finally {
      this.#isRunning = false
    }
    this.#listener.onIdle()
  }

  async #planAhead(): Promise<void> {
    // All results before the first step are taken: its masks can be made.
    await this.#steps[0]?.draw()
    while (this.#steps.length < this.#depth) {
      const before = this.#steps.at(-1)
      if (before !== undefined && before.plan.expectedMs > planAheadMs) return
      const plan = this.#scheduler.plan(performance.now())
      if (plan === null) return
      const launchedMs = performance.now()
      const step = launchStep(this.#native, plan, this.#vocabSize)
      this.#steps.push({ plan, launchedMs, ...step })
      if (before === undefined) await step.draw()
    }
  }
}
