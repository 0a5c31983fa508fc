import { describe, expect, test } from 'vitest'
import { FakeModel } from '../../test/support/fakeModel.ts'
import { greedySlot } from '../engine/slotOptions.ts'
import { Scheduler } from './scheduler.ts'
import type { Sequence } from './sequence.ts'

const groups = [{ pageTokens: 4, window: null }]
const slot = { ...greedySlot, temperature: 1, seed: 1 }
/** Tokens, and so steps, that a sequence takes. */
const SERVICE = 10

/** A scheduler whose steps take a millisecond each. */
class Server {
  now = 0
  readonly scheduler: Scheduler
  readonly #model: FakeModel
  #numAdded = 0

  constructor(
    maxSequences: number,
    { maxWaiting = 100, numPages = 2000, maxBatchedTokens = 512 } = {},
  ) {
    this.#model = new FakeModel(groups, numPages)
    const options = {
      groups,
      numPages,
      maxSequences,
      maxWaiting,
      maxBatchedTokens,
      maxLogitRows: maxSequences,
      maxSlots: 2 * maxSequences,
      prefixCache: true,
    }
    this.scheduler = new Scheduler(options, this.#model)
  }

  add(owner: string, { n = 1, priority = 0, length = 8, service = SERVICE } = {}): Sequence[] {
    const start = this.#numAdded++
    const prompt = Int32Array.from({ length }, (_, i) => (start + i) % 7)
    const choices = Array.from({ length: n }, (_, choice) => ({
      prompt,
      maxLength: length + service,
      stopIds: new Set<number>(),
      slot: { ...slot, choice },
      cacheSalt: String(start),
      owner,
    }))
    return this.scheduler.add(choices, priority, this.now)
  }

  /** @returns false when nothing ran */
  step(): boolean {
    const plan = this.scheduler.plan(this.now)
    if (plan === null) return false
    this.#model.launch(plan)
    this.now++
    this.scheduler.apply(plan.id, this.#model.complete(), 1, this.now, () => {})
    this.scheduler.checkInvariants()
    return true
  }

  /** Steps until the sequence has started. */
  stepsUntilStart(sequence: Sequence | undefined): number {
    let steps = 0
    while ((sequence?.startedMs ?? 0) < 0) {
      if (!this.step()) throw new Error('nothing runs')
      steps++
    }
    return steps
  }

  steps(count: number): void {
    for (let i = 0; i < count; i++) this.step()
  }

  /** Owners of what runs. */
  running(all: Sequence[]): Record<string, number> {
    const counts: Record<string, number> = {}
    for (const { state, options } of all) {
      if (state !== 'running') continue
      counts[options.owner ?? ''] = (counts[options.owner ?? ''] ?? 0) + 1
    }
    return counts
  }
}

const times = (count: number, add: () => Sequence[]) => Array.from({ length: count }, add).flat()
const one = ([first]: Sequence[]): Sequence => {
  if (first === undefined) throw new Error('nothing was added')
  return first
}

describe('a light client beside a heavy one starts within one service time', () => {
  test.each([1, 4, 32])('hundreds of jobs, %i at once', maxSequences => {
    const server = new Server(maxSequences)
    times(500, () => server.add('heavy'))
    server.steps(3)
    for (let round = 0; round < 5; round++) {
      expect(server.stepsUntilStart(one(server.add('light')))).toBeLessThanOrEqual(SERVICE + 2)
      server.steps(SERVICE + 3)
    }
  })

  test('a job of 128 choices', () => {
    const server = new Server(8)
    server.add('heavy', { n: 128 })
    server.steps(3)
    expect(server.stepsUntilStart(one(server.add('light')))).toBeLessThanOrEqual(SERVICE + 2)
  })

  test('choices do not fork past another who waits for pages', () => {
    const server = new Server(8, { numPages: 30, maxBatchedTokens: 24 })
    const heavy = server.add('heavy', { n: 20, length: 60 })
    server.step()
    const light = one(server.add('light', { length: 60 }))
    while (light.startedMs < 0) {
      expect(server.running(heavy).heavy ?? 0).toBeLessThanOrEqual(1)
      server.step()
    }
    expect(server.now).toBeLessThanOrEqual(SERVICE + 5)
  })
})

test('sequences that run at once are shared evenly, whatever their number', () => {
  const server = new Server(6)
  const all = times(60, () => server.add('a'))
  server.steps(2)
  all.push(...times(60, () => server.add('b')), ...times(60, () => server.add('c', { n: 2 })))
  server.steps(3 * SERVICE)
  expect(server.running(all)).toEqual({ a: 2, b: 2, c: 2 })
})

test('whoever asks for longer answers gets no larger share', () => {
  const server = new Server(4)
  const all = times(50, () => [
    ...server.add('a', { service: 10 * SERVICE }),
    ...server.add('b', { service: SERVICE }),
  ])
  server.steps(15 * SERVICE)
  for (let i = 0; i < SERVICE; i++) {
    server.step()
    expect(server.running(all).a).toBe(2)
  }
})

test('owners that come and go do not starve one that waits', () => {
  const server = new Server(1)
  const backlog = times(20, () => server.add('a'))
  let b = one(server.add('b'))
  let c = one(server.add('c'))
  for (let i = 0; i < 20 * SERVICE; i++) {
    server.step()
    if (b.state === 'finished') b = one(server.add('b'))
    if (c.state === 'finished') c = one(server.add('c'))
  }
  const started = backlog.filter(({ startedMs }) => startedMs >= 0).length
  expect(started).toBeGreaterThanOrEqual(6)
})

test("an owner's own sequences start in order of priority and arrival, beside those of others", () => {
  const server = new Server(2)
  const own = [1, 0, 0, 2, 0, 1].map(priority => one(server.add('a', { priority })))
  times(6, () => server.add('b', { priority: 1 }))
  while (server.step()) {}
  const order = own.toSorted((x, y) => x.startedMs - y.startedMs || x.arrival - y.arrival)
  expect(order.map(sequence => own.indexOf(sequence))).toEqual([1, 2, 4, 0, 5, 3])
})

test('a better priority goes before a turn', () => {
  const server = new Server(1)
  server.add('a')
  server.step()
  const light = one(server.add('b'))
  const urgent = one(server.add('a', { priority: -1 }))
  while (server.step()) {}
  expect(urgent.startedMs).toBeLessThan(light.startedMs)
})

describe('places to wait', () => {
  test('an owner may have all, and another still gets its share', () => {
    const server = new Server(1, { maxWaiting: 10 })
    const add = (owner: string) => {
      let count = 0
      for (; !server.scheduler.isFull(owner); count++) server.add(owner)
      server.step()
      return count
    }
    // One of them starts at once.
    expect(add('a')).toBe(11)
    expect(server.scheduler.isFull('a')).toBe(true)
    expect(add('b')).toBe(5)
    expect(add('c')).toBe(4)
    expect(['a', 'b', 'c'].map(owner => server.scheduler.isFull(owner))).toEqual([true, true, true])
    expect(server.scheduler.isFull('d')).toBe(false)
  })

  test('no places at all', () => {
    const server = new Server(1, { maxWaiting: 0 })
    expect(server.scheduler.isFull('a')).toBe(false)
    server.add('a')
    server.step()
    expect(['a', 'b'].map(owner => server.scheduler.isFull(owner))).toEqual([true, true])
  })

  test('the time to come back grows with the owners in the queue', () => {
    const server = new Server(1)
    times(3, () => server.add('a'))
    server.step()
    const alone = server.scheduler.retryAfterMs('a')
    server.add('b')
    expect(server.scheduler.retryAfterMs('a')).toBeGreaterThan(1.5 * alone)
  })
})

test('positions are those of the turns to come', () => {
  const server = new Server(1)
  server.add('a')
  server.step()
  const a = times(3, () => server.add('a'))
  const b = times(2, () => server.add('b'))
  const position = (sequence: Sequence) => server.scheduler.queuePosition(sequence)
  expect([...b, ...a].map(position)).toEqual([0, 2, 1, 3, 4])
  const before = [...a, ...b].toSorted((x, y) => position(x) - position(y))
  while (server.step()) {}
  expect(before).toEqual([...a, ...b].toSorted((x, y) => x.startedMs - y.startedMs))
})
