import OpenAI, { APIError } from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { scriptedModel } from '../../edge/scripted/scriptedEngine.ts'
import { eventually } from '../http/httpSuite.ts'
import { listenScripted } from '../http/nodeServer.ts'
import { openaiChecks } from './openaiChecks.ts'

type Server = Awaited<ReturnType<typeof listenScripted>>
const clientOf = ({ origin }: Server, maxRetries = 0) =>
  new OpenAI({ baseURL: `${origin}/v1`, apiKey: 'EMPTY', maxRetries })
const messages = [{ role: 'user' as const, content: 'hi' }]
const chat = { model: 'default', messages }

describe('openai for Node', () => {
  let server: Server
  beforeAll(async () => {
    server = await listenScripted()
  })
  afterAll(() => server.close())

  for (const { name, run } of openaiChecks) {
    test(name, () => run(clientOf(server), scriptedModel.id))
  }
})

describe('openai for Node and a server in trouble', () => {
  test('a failure during a stream is raised', async () => {
    const error = { kind: 'internal' as const, message: 'device lost' }
    const server = await listenScripted({ engine: { failAfterSteps: { steps: 1, error } } })
    const stream = await clientOf(server).chat.completions.create({ ...chat, stream: true })
    const reading = (async () => {
      for await (const _ of stream);
    })()
    await expect(reading).rejects.toThrow(APIError)
    await expect(reading).rejects.toThrow('device lost')
    await server.close()
  })

  test('a full queue is tried again after the time it asks for', async () => {
    const server = await listenScripted({
      engine: { maxRunning: 1, maxWaiting: 0, stepDelayMs: 30 },
    })
    const client = clientOf(server, 2)
    const startMs = performance.now()
    await Promise.all([client.chat.completions.create(chat), client.chat.completions.create(chat)])
    expect(performance.now() - startMs).toBeGreaterThan(1500)
    await server.close()
  })

  test('an unknown model is not tried again', async () => {
    const server = await listenScripted()
    const call = clientOf(server, 2).chat.completions.create({ ...chat, model: 'gpt-9' })
    await expect(call).rejects.toMatchObject({ status: 404 })
    expect(server.log.filter(({ event }) => event === 'request_completed')).toHaveLength(1)
    await server.close()
  })

  test('aborting a stream ends the job', async () => {
    const server = await listenScripted({ engine: { stepDelayMs: 20 } })
    const stream = await clientOf(server).chat.completions.create({ ...chat, stream: true })
    for await (const _ of stream) break
    await eventually(() => server.engine.numActive === 0)
    expect(server.engine.numAborted).toBe(1)
    await server.close()
  })

  test('reasoning arrives beside the content', async () => {
    const server = await listenScripted()
    const { choices } = await clientOf(server).chat.completions.create({
      ...chat,
      reasoning_effort: 'high',
    })
    expect(choices[0]?.message).toMatchObject({ reasoning_content: 'Let me think.' })
    await server.close()
  })
})
