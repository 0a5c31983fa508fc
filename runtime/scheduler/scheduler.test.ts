import { describe, expect, it } from 'vitest'
import { fakeVocabSize } from '../../test/support/fakeModel.ts'
import {
  full,
  Harness,
  raise,
  sliding,
  slotOptions,
  type Tracked,
} from '../../test/support/schedulerHarness.ts'
import type { SchedulerOptions } from './scheduler.ts'
import type { SequenceOptions } from './sequence.ts'

const plain: SchedulerOptions = {
  groups: [full(4)],
  numPages: 200,
  maxSequences: 4,
  maxBatchedTokens: 512,
  maxLogitRows: 8,
  maxSlots: 16,
  maxWaiting: 10,
  prefixCache: true,
}

const request = (length: number, generate: number, seed = 1): SequenceOptions => ({
  prompt: Int32Array.from({ length }, (_, i) => (i * 7 + seed) % fakeVocabSize),
  maxLength: length + generate,
  stopIds: new Set(),
  slot: slotOptions(seed, 0),
  cacheSalt: '',
})

const one = (tracked: Tracked[]): Tracked => tracked[0] ?? raise('nothing was added')

describe('scheduler, one matter at a time', () => {
  it('keeps steps within their time while anything decodes, and bounded otherwise', () => {
    const h = new Harness({ ...plain, numPages: 2000, maxBatchedTokens: 4096 })
    const lengths: { decodes: boolean; ms: number }[] = []
    h.stepMs = plan => {
      const ms = plan.numPrefillTokens * 0.5 + (plan.numDecodeRows > 0 ? 10 : 0)
      lengths.push({ decodes: plan.numDecodeRows > 0, ms })
      return ms
    }
    h.add([request(2000, 1)])
    while (h.turn(1)) {}
    h.add([request(8, 100, 2)])
    for (let i = 0; i < 3; i++) h.turn(1)
    h.add([request(2000, 1, 3)])
    while (h.turn(1)) {}
    // The first guesses apart.
    const settled = lengths.slice(4)
    expect(Math.max(...settled.filter(s => s.decodes).map(s => s.ms))).toBeLessThanOrEqual(62)
    expect(Math.max(...settled.filter(s => !s.decodes).map(s => s.ms))).toBeLessThanOrEqual(260)
    expect(Math.max(...settled.map(s => s.ms))).toBeGreaterThan(150)
    h.expectDone()
  })

  it('gets a short prompt through beside a long one, which still advances', () => {
    const h = new Harness({ ...plain, numPages: 2000, maxBatchedTokens: 64 })
    const long = one(h.add([request(3000, 1)]))
    h.turn(1)
    const short = one(h.add([request(20, 1, 2)]))
    const before = long.sequence.planned
    h.turn(1)
    expect(short.sequence.state).toBe('finished')
    expect(long.sequence.planned - before).toBeGreaterThanOrEqual(32)
    while (h.turn(1)) {}
    h.expectDone()
  })

  it('starts sequences in order of priority, then arrival', () => {
    const h = new Harness({ ...plain, maxSequences: 1 })
    const started: number[] = []
    const waiting = [
      ...h.add([request(8, 2, 1)], 0),
      ...h.add([request(8, 2, 2)], 5),
      ...h.add([request(8, 2, 3)], -1),
      ...h.add([request(8, 2, 4)], 0),
    ]
    do {
      const running = waiting.findIndex(t => t.sequence.state === 'running')
      if (running >= 0 && started.at(-1) !== running) started.push(running)
    } while (h.turn(1))
    expect(started).toEqual([2, 0, 3, 1])
    h.expectDone()
  })

  it('preempts the latest arrival, which goes on where it was', () => {
    const h = new Harness({ ...plain, numPages: 14, prefixCache: false })
    const first = one(h.add([request(8, 24, 1)]))
    const second = one(h.add([request(8, 24, 2)]))
    while (second.sequence.state !== 'running') h.turn(2)
    while (second.sequence.state === 'running') h.turn(2)
    expect(first.sequence.state).toBe('running')
    expect(second.sequence.state).toBe('waiting')
    expect(second.sequence.slot).toBeGreaterThanOrEqual(0)
    while (h.turn(2)) {}
    expect(h.scheduler.counters.preemptions).toBeGreaterThan(0)
    h.expectDone()
  })

  it.each([1, 2])('frees the pages of an aborted sequence within a step, depth %i', depth => {
    const h = new Harness(plain)
    const { sequence } = one(h.add([request(40, 50)]))
    for (let i = 0; i < 5; i++) h.turn(depth)
    h.scheduler.finish(sequence)
    expect(h.scheduler.numInFlight).toBe(depth - 1)
    expect(h.scheduler.pool.numUsed).toBe(depth === 1 ? 0 : 12)
    h.turn(depth)
    expect(h.scheduler.pool.numUsed).toBe(0)
  })

  it('prefills a prompt once for all its choices', () => {
    const h = new Harness({ ...plain, maxSequences: 4 })
    let prefilled = 0
    h.stepMs = plan => {
      prefilled += plan.numPrefillTokens
      return 1
    }
    const choices = [0, 1, 2, 3].map(choice => ({
      ...request(30, 5),
      slot: slotOptions(1, choice),
    }))
    h.add(choices)
    h.turn(1)
    // 7 full pages are shared; each choice has its own copy of the page begun.
    expect(h.scheduler.pool.numUsed).toBe(7 + 4)
    while (h.turn(1)) {}
    expect(prefilled).toBe(30)
    h.expectDone()
  })

  it('reuses the pages of an earlier prompt, but always computes a token', () => {
    const h = new Harness(plain)
    h.add([request(32, 1)])
    while (h.turn(1)) {}
    const again = one(h.add([request(32, 1)]))
    const longer = one(h.add([{ ...request(32, 1), prompt: request(40, 1).prompt, maxLength: 41 }]))
    const salted = one(h.add([{ ...request(32, 1), cacheSalt: 'mine' }]))
    while (h.turn(1)) {}
    expect(again.sequence.cachedTokens).toBe(28)
    expect(longer.sequence.cachedTokens).toBe(32)
    expect(salted.sequence.cachedTokens).toBe(0)
    h.expectDone()
  })

  it('needs only the last window of a sliding group for a hit', () => {
    // Pool of 24: the sliding group's early pages were freed on the way and may have been reused; the hit stands.
    const groups = [full(4), sliding(4, 8)]
    const h = new Harness({ ...plain, groups, numPages: 24, maxBatchedTokens: 20 })
    h.add([request(40, 1)])
    while (h.turn(1)) {}
    const again = one(h.add([request(40, 1)]))
    while (h.turn(1)) {}
    expect(again.sequence.cachedTokens).toBe(36)
    h.expectDone()
  })

  it('says when to come back once the queue is full', () => {
    const h = new Harness({ ...plain, maxSequences: 1, maxWaiting: 1 })
    h.add([request(8, 20)])
    h.turn(1)
    expect(h.scheduler.isFull(undefined)).toBe(false)
    h.add([request(8, 20, 2)])
    expect(h.scheduler.isFull(undefined)).toBe(true)
    h.stepMs = () => 100
    while (h.turn(1)) {}
    // 20 steps of 100 ms a sequence, one at a time.
    expect(h.scheduler.retryAfterMs(undefined)).toBeGreaterThan(1000)
    expect(h.scheduler.retryAfterMs(undefined)).toBeLessThan(3000)
  })
})
