import { describe, expect, it } from 'vitest'
import { fakeVocabSize } from '../../test/support/fakeModel.ts'
import {
  FakeConstraint,
  full,
  Harness,
  raise,
  seeded,
  sliding,
  slotOptions,
} from '../../test/support/schedulerHarness.ts'
import { type KvGroup, longestSequence } from './pages.ts'
import type { Scheduler } from './scheduler.ts'

const layouts: KvGroup[][] = [
  [full(4)],
  [full(16)],
  [sliding(4, 9)],
  [full(4), sliding(4, 7)],
  [sliding(2, 5), full(8)],
  [full(4), sliding(8, 16), sliding(2, 3)],
]

function runMix(seed: number): Scheduler['counters'] & { forced: number } {
  const random = seeded(seed)
  const groups = layouts[random(layouts.length)] ?? raise('no layout')
  const depth = 1 + random(2)
  const maxSequences = 1 + random(6)
  const maxLength = 20 + random(100)
  const minPages = [1, 2, 4, 8, 16, 32, 64].find(
    n => longestSequence(groups, n, maxLength) === maxLength,
  )
  const h = new Harness({
    groups,
    numPages: (minPages ?? 64) + random(random(2) === 0 ? 4 : 60),
    maxSequences,
    maxBatchedTokens: maxSequences + 16 + random(40),
    maxLogitRows: maxSequences + random(8),
    maxSlots: maxSequences + 1 + random(6),
    maxWaiting: 100,
    prefixCache: random(4) > 0,
    ...(random(2) === 0 && { prefillStepMs: 40, decodeStepMs: 20 }),
  })
  const bases = Array.from({ length: 3 }, () =>
    Int32Array.from({ length: maxLength }, () => random(fakeVocabSize)),
  )
  const newJob = () => {
    const length = 1 + random(maxLength - 4)
    const shared = random(2) === 0 ? length : random(length)
    const base = bases[random(3)] ?? raise('no base')
    const prompt = Int32Array.from({ length }, (_, i) =>
      i < shared ? (base[i] ?? 0) : random(fakeVocabSize),
    )
    const n = random(3) === 0 ? 1 + random(4) : 1
    const jobSeed = random(1000)
    const owner = random(4)
    const limit = Math.min(maxLength, length + random(30))
    h.add(
      Array.from({ length: n }, (_, choice) => ({
        prompt,
        maxLength: limit,
        stopIds: new Set(random(3) === 0 ? [] : [0]),
        slot: slotOptions(jobSeed, choice),
        cacheSalt: random(4) === 0 ? 'b' : 'a',
        ...(owner > 0 && { owner: `owner ${owner}` }),
        ...(random(6) === 0 && { promptLogprobs: 0 }),
        ...(random(4) === 0 && { logprobs: 0 }),
      })),
      random(5) === 0 ? random(3) - 1 : 0,
      random(3) === 0 ? 1 + random(fakeVocabSize - 1) : -1,
      random(3) === 0 ? () => new FakeConstraint(jobSeed) : undefined,
    )
  }
  let left = 3 + random(12)
  let idleTurns = 0
  for (let turn = 0; left > 0 || !h.scheduler.isIdle; turn++) {
    if (turn > 5000) raise('starved')
    while (left > 0 && (random(3) === 0 || h.scheduler.isIdle)) {
      newJob()
      left--
    }
    const live = [...h.tracked.values()].filter(t => t.sequence.state !== 'finished')
    const some = live[random(Math.max(1, live.length))]
    const dice = random(24)
    if (some !== undefined && dice === 0) {
      some.aborted = true
      h.scheduler.finish(some.sequence)
      h.scheduler.checkInvariants()
    } else if (some !== undefined && dice < 3) h.scheduler.setPaused(some.sequence, true)
    else if (dice < 10) for (const t of live) h.scheduler.setPaused(t.sequence, false)
    if (!h.turn(depth)) {
      idleTurns++
      const runnable = live.filter(t => !t.sequence.paused && t.sequence.state !== 'finished')
      if (runnable.length > 0 && idleTurns > 50) raise('stuck with runnable sequences')
    } else idleTurns = 0
  }
  h.expectDone()
  for (const [sequence, positions] of h.scored) {
    const ofPrompt = positions.filter(position => position < sequence.promptLength)
    const expected = Array.from({ length: sequence.promptLength - 1 }, (_, i) => i + 1)
    // The first choice of a prompt scores it for all.
    const isScored = sequence.options.promptLogprobs !== undefined && ofPrompt.length > 0
    if (!h.tracked.get(sequence)?.aborted) expect(ofPrompt).toEqual(isScored ? expected : [])
    expect(new Set(positions).size).toBe(positions.length)
  }
  return { ...h.scheduler.counters, forced: h.numForced }
}

/** 10 s a 3000. */
const numMixes = process.env.MISTRALRS_TEST_FULL === '1' ? 20_000 : 1000

describe('scheduler', () => {
  it('serves random mixes as if each request were alone', () => {
    const sums = { steps: 0, preemptions: 0, cachedTokens: 0, forced: 0 }
    for (let seed = 0; seed < numMixes; seed++) {
      try {
        const counters = runMix(seed)
        sums.steps += counters.steps
        sums.preemptions += counters.preemptions
        sums.cachedTokens += counters.cachedTokens
        sums.forced += counters.forced
      } catch (cause) {
        throw new Error(`mix ${seed}`, { cause })
      }
    }
    // The mixes must reach what they are there for.
    expect(sums.steps).toBeGreaterThan(20 * numMixes)
    expect(sums.preemptions).toBeGreaterThan(numMixes / 3)
    expect(sums.cachedTokens).toBeGreaterThan(4 * numMixes)
    expect(sums.forced).toBeGreaterThan(4 * numMixes)
  }, 300_000)
})
