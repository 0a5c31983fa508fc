import { test } from 'vitest'
import { fakeGroups, fakeLimits } from '../../test/support/fakeEngine.ts'
import { FakeNative } from '../../test/support/fakeNative.ts'
import { Scheduler } from '../scheduler/scheduler.ts'
import { greedySlot } from './slotOptions.ts'
import { StepLoop } from './stepLoop.ts'

test('what comes while the loop is about to end is run', async () => {
  const native = new FakeNative(fakeGroups, fakeLimits.numPages)
  const scheduler = new Scheduler(fakeLimits, native)
  const plan = scheduler.plan.bind(scheduler)
  const done = Promise.withResolvers<void>()
  const loop = new StepLoop(
    native,
    scheduler,
    { vocabSize: 40, depth: 2 },
    {
      onResults: (step, { sampled }, ms, nowMs) =>
        scheduler.apply(step.id, sampled.tokens, ms, nowMs, () => done.resolve()),
      onIdle: () => {},
      onFailure: done.reject,
    },
  )
  let isFirst = true
  scheduler.plan = nowMs => {
    // Behind this turn, and before the loop hears that there is no step.
    if (isFirst) {
      queueMicrotask(() => {
        const prompt = Int32Array.of(1, 2, 3)
        const options = { prompt, maxLength: 4, stopIds: new Set<number>(), slot: greedySlot }
        scheduler.add([{ ...options, cacheSalt: '' }], 0, 0)
        loop.start()
      })
    }
    isFirst = false
    return plan(nowMs)
  }
  loop.start()
  await done.promise
})
