import { afterEach, describe, expect, test, vi } from 'vitest'
import { type Engine, EngineError, type EngineErrorData, type GenerateJob } from '../engine.ts'
import { createScriptedEngine, type ScriptedOptions } from '../scripted/scriptedEngine.ts'
import { affinityKey, rendezvousOrder } from './affinity.ts'
import { RoutedEngine } from './routedEngine.ts'

afterEach(() => {
  vi.useRealTimers()
})

const signal = new AbortController().signal
const chat = (...contents: string[]): GenerateJob => ({
  model: 'default',
  prompt: { kind: 'chat', messages: contents.map(content => ({ role: 'user', content })) },
  n: 1,
  sampling: {},
  stop: [],
  maxTokens: 3,
})

function cluster(...options: ScriptedOptions[]) {
  const engines = options.map(createScriptedEngine)
  const routes = engines.map((engine, i) => ({ name: `https://gpu-${i}:8443`, engine }))
  return { engines, routes, routed: new RoutedEngine(routes) }
}

async function run(routed: RoutedEngine, job: GenerateJob): Promise<string> {
  let text = ''
  for await (const events of (await routed.submit(job, signal)).events) {
    for (const event of events) text += event.kind === 'text' ? event.text : ''
  }
  return text
}

describe('affinity', () => {
  test('all turns of a conversation have one key, others another', () => {
    const first = affinityKey(chat('system', 'question'))
    expect(affinityKey(chat('system', 'question', 'answer', 'more'))).toBe(first)
    expect(affinityKey(chat('system', 'other'))).not.toBe(first)
    expect(affinityKey({ ...chat('system', 'question'), cacheSalt: 'x' })).not.toBe(first)
    const text = (prompt: string | number[]): GenerateJob => ({
      ...chat(),
      prompt: { kind: 'text', prompts: [prompt] },
    })
    expect(affinityKey(text('x'.repeat(5000)))).toBe(affinityKey(text('x'.repeat(2000))))
    expect(affinityKey(text([1, 2]))).not.toBe(affinityKey(text([1, 3])))
  })

  test('keys spread evenly, and move only from a name that goes', () => {
    const names = [0, 1, 2, 3].map(i => ({ name: `https://gpu-${i}:8443` }))
    const keys = Array.from({ length: 4000 }, (_, i) => `key ${i}`)
    const counts = new Map<string, number>()
    for (const key of keys) {
      const [first, second] = rendezvousOrder(key, names)
      counts.set(first?.name ?? '', (counts.get(first?.name ?? '') ?? 0) + 1)
      const without = rendezvousOrder(key, names.slice(0, 3))[0]
      expect(without).toBe(first === names[3] ? second : first)
    }
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(120)
  })

  test('a conversation stays with its engine', async () => {
    const { engines, routed } = cluster({}, {}, {})
    for (let i = 0; i < 6; i++) await run(routed, chat('system', 'question', `turn ${i}`))
    expect(engines.map(({ jobs }) => jobs.length).sort()).toEqual([0, 0, 6])
  })

  test('unless it has much more to do than the others', async () => {
    const { engines, routed } = cluster({}, {})
    const client = new AbortController()
    for (let i = 0; i < 10; i++) await routed.submit(chat('the same'), client.signal)
    const counts = engines.map(({ jobs }) => jobs.length)
    expect(Math.max(...counts)).toBeLessThanOrEqual(7)
    client.abort()
    for (let i = 0; i < 3; i++) await run(routed, chat('the same'))
    expect(Math.max(...engines.map(({ jobs }) => jobs.length))).toBe(Math.max(...counts) + 3)
  })

  test('what an engine runs for nobody here counts, as long as it is known', async () => {
    const { engines, routed } = cluster({}, {})
    await run(routed, chat('the same'))
    const preferred = engines.findIndex(({ jobs }) => jobs.length > 0)
    const [busy, other] = preferred === 0 ? engines : engines.toReversed()
    if (busy === undefined || other === undefined) throw new Error('two were made')
    const { health } = busy
    const client = new AbortController()
    await routed.submit(chat('the same'), client.signal)
    busy.health = async () => ({ ...(await health()), running: 3, waiting: 2 })
    const time = vi.useFakeTimers({ toFake: ['performance'] })
    await routed.checkHealth()
    client.abort()
    await run(routed, chat('the same'))
    expect([busy.jobs.length, other.jobs.length]).toEqual([2, 1])
    // A host that cannot keep time does not ask again.
    time.advanceTimersByTime(10_000)
    await run(routed, chat('the same'))
    expect([busy.jobs.length, other.jobs.length]).toEqual([3, 1])
    await routed.checkHealth()
    busy.health = health
    await routed.checkHealth()
    await run(routed, chat('the same'))
    expect([busy.jobs.length, other.jobs.length]).toEqual([4, 1])
  })
})

describe('failures', () => {
  const down: EngineErrorData = { kind: 'unavailable', message: 'down' }

  test.each(['unavailable', 'draining', 'loading', 'busy'] as const)(
    'before acceptance, %s: the next engine gets the job',
    async kind => {
      const { engines, routed } = cluster({ failSubmit: { kind, message: 'no' } }, {})
      for (let i = 0; i < 20; i++) await run(routed, chat(`question ${i}`))
      expect(engines[1]?.jobs).toHaveLength(20)
    },
  )

  test('a mistake of the client is told by the first', async () => {
    const { routed, engines } = cluster({}, {})
    const job = { ...chat('hi'), model: 'gpt-9' }
    await expect(routed.submit(job, signal)).rejects.toMatchObject({ kind: 'model_not_found' })
    expect(engines.map(({ numActive }) => numActive)).toEqual([0, 0])
  })

  test('when all refuse, the most hopeful refusal counts', async () => {
    const busy = (retryAfterMs: number): ScriptedOptions => ({
      failSubmit: { kind: 'busy', message: 'full', retryAfterMs },
    })
    const { routed } = cluster({ failSubmit: down }, busy(900), busy(300))
    await expect(routed.submit(chat('hi'), signal)).rejects.toMatchObject({
      kind: 'busy',
      retryAfterMs: 300,
    })
    const { routed: none } = cluster({ failSubmit: down })
    await expect(none.submit(chat('hi'), signal)).rejects.toMatchObject(down)
  })

  test('an engine that is down is asked last, until it is well again', async () => {
    const { routes } = cluster({}, {})
    const [well, other] = routes.map(({ engine }) => engine)
    if (well === undefined || other === undefined) throw new Error('two were made')
    let asked = 0
    let isDown = true
    const flaky: Engine = {
      ...well,
      submit: async (job, signal) => {
        asked++
        if (isDown) throw new EngineError(down)
        return well.submit(job, signal)
      },
      health: async () => {
        if (isDown) throw new EngineError(down)
        return well.health()
      },
    }
    const routed = new RoutedEngine([
      { name: 'flaky', engine: flaky },
      { name: 'other', engine: other },
    ])
    for (let i = 0; i < 20; i++) await run(routed, chat(`question ${i}`))
    expect(asked).toBe(1)
    expect((await routed.health()).detail).toMatch(/1 of 2/)
    isDown = false
    await routed.checkHealth()
    for (let i = 0; i < 20; i++) await run(routed, chat(`question ${i}`))
    expect(asked).toBeGreaterThan(4)
  })

  test('an engine that is known to be silent keeps nobody from a job of another', async () => {
    const { engines, routes } = cluster({}, { stepDelayMs: 1000 })
    const [first, second] = engines
    if (first === undefined || second === undefined) throw new Error('two were made')
    const never = () => new Promise<never>(() => {})
    const silent: Engine = {
      ...first,
      submit: never,
      attach: never,
      cancel: never,
      health: () => Promise.reject(new EngineError(down)),
    }
    const attached = second.attach
    second.attach = (...args) =>
      args[0] === 'mine' ? second.submit(chat(), signal) : attached(...args)
    const routed = new RoutedEngine([{ name: 'silent', engine: silent }, ...routes.slice(1)])
    await routed.checkHealth()
    // The next check takes two seconds to find it silent, and begins a second later.
    vi.useFakeTimers({ toFake: ['performance'] }).advanceTimersByTime(5000)
    await routed.submit({ ...chat('hi'), requestId: 'req' }, signal)
    expect(await routed.attach('mine', -1, undefined, signal)).toMatchObject({
      jobId: 'scripted-2',
    })
    expect(await routed.cancel('req', undefined)).toBe(true)
  })

  test('what becomes of an engine is told once each time, with the cause', async () => {
    const [well] = cluster({}).engines
    if (well === undefined) throw new Error('one was made')
    let failure: EngineError | undefined = new EngineError(down, { cause: new Error('refused') })
    const health = async () => {
      if (failure) throw failure
      return well.health()
    }
    const told: unknown[] = []
    const routed = new RoutedEngine([{ name: 'gpu', engine: { ...well, health } }], (name, state) =>
      told.push([name, state]),
    )
    await routed.checkHealth()
    await expect(routed.health()).rejects.toThrow(/^down$/)
    failure = undefined
    await routed.checkHealth()
    await routed.checkHealth()
    expect(told).toEqual([
      ['gpu', { usable: false, detail: expect.stringMatching(/ \(refused\)\.$/) }],
      ['gpu', { usable: true, detail: 'ready' }],
    ])
  })

  test('health of all', async () => {
    const { routed } = cluster({}, { maxRunning: 0 })
    await routed.submit(chat('hi'), signal)
    expect(await routed.health()).toMatchObject({ ready: true, running: expect.any(Number) })
  })
})
