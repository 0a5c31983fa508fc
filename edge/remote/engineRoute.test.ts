import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { textJob } from '../../test/support/textJob.ts'
import { scriptedModel } from '../scripted/scriptedEngine.ts'
import type { EngineFetch } from './engineFetch.ts'
import { RemoteEngine } from './remoteEngine.ts'
import { RoutedEngine } from './routedEngine.ts'

const signal = new AbortController().signal
const SILENCE = { kind: 'unavailable', message: 'The engine does not answer.' }

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] })
})

afterEach(() => {
  vi.useRealTimers()
})

/** A container that answers, that takes requests and says nothing, or that does so to jobs only. */
class Container {
  speaks: boolean | 'of its health' = true
  running = 0
  /** What it was asked, by path. */
  readonly asked: string[] = []
  readonly url: string

  constructor(url: string) {
    this.url = url
  }

  readonly fetch: EngineFetch = async (url, { signal }) => {
    const path = new URL(url).pathname
    this.asked.push(path)
    const isHealth = path === '/engine/health'
    if (this.speaks === true || (this.speaks !== false && isHealth)) {
      return isHealth ? Response.json(this.#health) : Response.json({ ...answers, count: this.url })
    }
    return new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
    })
  }

  numAsked(path: string): number {
    return this.asked.filter(other => other === path).length
  }

  get #health() {
    return { ready: true, running: this.running, waiting: 0, kvPagesUsed: 0, kvPagesTotal: 1 }
  }
}

const answers = {
  text: 'hi',
  models: [scriptedModel],
  machines: [{ cpu: 'one' }],
  cancelled: false,
}

function cluster(numContainers: number) {
  const containers = Array.from({ length: numContainers }, (_, i) => new Container(`http://${i}`))
  const engines = containers.map(({ url, fetch }) => new RemoteEngine({ url, fetch }))
  const routes = engines.map((engine, i) => ({ name: `${i}`, engine }))
  return { containers, engines, routed: new RoutedEngine(routes) }
}

/** What a request comes to, and how long that takes; which engine answers is `count`. */
async function timed<T>(asking: Promise<T>): Promise<{ answer: T | unknown; ms: number }> {
  const startMs = performance.now()
  const answer = await asking.catch((error: unknown) => error)
  return { answer, ms: performance.now() - startMs }
}

const ask = (routed: RoutedEngine) =>
  timed(
    routed
      .tokenize({ model: 'm', prompt: { kind: 'text', text: 'hi' } }, signal)
      .then(({ count }) => count),
  )

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)

/** Has `routed` find out, at the cost of one request, that the first container says nothing. */
async function silence({ containers, routed }: ReturnType<typeof cluster>): Promise<void> {
  const [first] = containers
  if (first === undefined) throw new Error('there is one')
  first.speaks = false
  const finding = ask(routed)
  await pass(62_000)
  await finding
}

describe('a container that takes requests and says nothing', () => {
  test('costs one request its patience, those after it nothing', async () => {
    const { containers, routed } = cluster(1)
    const [container] = containers as [Container]
    container.speaks = false
    const first = ask(routed)
    await pass(62_000)
    expect(await first).toMatchObject({ answer: SILENCE, ms: 62_000 })
    await pass(500)
    expect(await ask(routed)).toMatchObject({
      answer: { ...SILENCE, retryAfterMs: expect.toSatisfy(ms => ms > 0 && ms <= 1500) },
      ms: 0,
    })
    expect(container.asked).toEqual(['/engine/tokenize', '/engine/health'])
  })

  test('is found out while the first request waits', async () => {
    const { containers, routed } = cluster(1)
    const [container] = containers as [Container]
    container.speaks = false
    const first = ask(routed)
    await pass(10_000)
    const second = ask(routed)
    await pass(2000)
    expect(await second).toMatchObject({ answer: SILENCE, ms: 2000 })
    expect(await ask(routed)).toMatchObject({ answer: SILENCE, ms: 0 })
    await pass(48_000)
    expect(await first).toMatchObject({ answer: SILENCE, ms: 60_000 })
  })

  test('and though no client waits for its patience to end', async () => {
    const { containers, routed } = cluster(2)
    const [container] = containers as [Container]
    container.speaks = false
    const waits: number[] = []
    for (let i = 0; i < 5; i++) {
      const client = new AbortController()
      const asking = timed(routed.detokenize({ model: 'm', tokens: [] }, client.signal))
      await pass(4000)
      client.abort()
      waits.push((await asking).ms)
    }
    expect(waits).toEqual([4000, 4000, 4000, 0, 0])
  })

  test('is asked how it is by one request at a time', async () => {
    const all = cluster(1)
    await silence(all)
    const [container] = all.containers as [Container]
    for (let i = 0; i < 3; i++) {
      await pass(5000)
      container.asked.splice(0)
      const asking = Array.from({ length: 10 }, () => ask(all.routed))
      await pass(2000)
      const ends = await Promise.all(asking)
      expect(ends.map(({ ms }) => ms)).toEqual([2000, ...Array(9).fill(0)])
      for (const { answer } of ends) expect(answer).toMatchObject(SILENCE)
      expect(container.asked).toEqual(['/engine/health'])
    }
  })

  test('is used again as soon as one of them hears of it', async () => {
    const all = cluster(1)
    await silence(all)
    const [container] = all.containers as [Container]
    container.speaks = true
    expect((await ask(all.routed)).answer).toMatchObject(SILENCE)
    await pass(5000)
    expect((await ask(all.routed)).answer).toBe('http://0')
    await Promise.all(Array.from({ length: 10 }, () => ask(all.routed)))
    expect(container.numAsked('/engine/tokenize')).toBe(12)
  })

  test('a request that ends while it asks is no obstacle for the next one', async () => {
    const all = cluster(1)
    await silence(all)
    const [container] = all.containers as [Container]
    await pass(5000)
    // In workerd it takes its fetch and its timers along: nothing is heard of either again.
    const [engine] = all.engines as [RemoteEngine]
    const { health } = engine
    engine.health = () => new Promise(() => {})
    ask(all.routed)
    engine.health = health
    container.speaks = true
    await pass(5000)
    expect((await ask(all.routed)).answer).toBe('http://0')
  })

  test('leaves its requests to another, and theirs do not wait for it', async () => {
    const { containers, routed } = cluster(2)
    const [silent, other] = containers as [Container, Container]
    silent.speaks = false
    const first = ask(routed)
    await pass(62_000)
    expect(await first).toEqual({ answer: 'http://1', ms: 62_000 })
    await pass(10_000)
    silent.asked.splice(0)
    for (let i = 0; i < 10; i++) expect(await ask(routed)).toEqual({ answer: other.url, ms: 0 })
    expect(silent.asked).toEqual(['/engine/health'])
    // Though nobody waited for its answer, it is heard.
    await pass(10_000)
    silent.speaks = true
    await ask(routed)
    expect((await ask(routed)).answer).toBe(silent.url)
  })

  test.each<[string, (routed: RoutedEngine) => Promise<unknown>, unknown]>([
    ['submit', routed => routed.submit(textJob, signal), SILENCE],
    ['attach', routed => routed.attach('job', -1, undefined, signal), SILENCE],
    ['cancel', routed => routed.cancel('job', undefined), SILENCE],
    ['models', routed => routed.models(), SILENCE],
    ['load', routed => routed.load('m'), SILENCE],
    ['unload', routed => routed.unload('m'), SILENCE],
    ['system', routed => routed.system(), []],
    ['metrics', routed => routed.metrics(), []],
  ])('%s does not wait for it', async (_, question, expected) => {
    const all = cluster(1)
    await silence(all)
    const { answer, ms } = await timed(question(all.routed))
    expect(ms).toBe(0)
    expect(answer).toMatchObject(expected as object)
  })

  test('is found by health checks too, which then are what hears of it again', async () => {
    const { containers, routed } = cluster(1)
    const [container] = containers as [Container]
    const check = async () => {
      const checking = routed.checkHealth()
      await pass(2000)
      await checking
      await pass(1000)
    }
    container.speaks = false
    for (let i = 0; i < 4; i++) await check()
    expect(await ask(routed)).toMatchObject({ answer: SILENCE, ms: 0 })
    expect(container.numAsked('/engine/tokenize')).toBe(0)
    container.speaks = true
    await check()
    expect((await ask(routed)).answer).toBe('http://0')
  })
})

describe('a container that is not silent', () => {
  test('but has much to do: a late answer to a health check keeps nobody away', async () => {
    const { containers, routed } = cluster(1)
    const [container] = containers as [Container]
    await pass(60_000)
    await ask(routed)
    container.speaks = false
    const checking = routed.checkHealth()
    await pass(2000)
    await checking
    container.speaks = true
    expect((await ask(routed)).answer).toBe('http://0')
  })

  test('but cannot do the one job: that is told, and others still get to it', async () => {
    const { containers, routed } = cluster(2)
    const [container] = containers as [Container]
    container.speaks = 'of its health'
    const asking = ask(routed)
    await pass(60_000)
    expect(await asking).toMatchObject({ answer: { kind: 'timeout' }, ms: 60_000 })
    container.speaks = true
    expect((await ask(routed)).answer).toBe('http://0')
  })
})
