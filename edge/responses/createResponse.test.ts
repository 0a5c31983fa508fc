import { expect, test } from 'vitest'
import { appDefaults } from '../../test/http/deployment.ts'
import { createApp } from '../app.ts'
import { EngineError, type GenerateJob } from '../engine.ts'
import { createScriptedEngine } from '../scripted/scriptedEngine.ts'

/** An engine that cannot enforce the schema of any strict function. */
function serverWithoutSchemas() {
  const engine = createScriptedEngine()
  const jobs: GenerateJob[] = []
  const app = createApp({
    ...appDefaults,
    engine: {
      ...engine,
      submit(job, signal) {
        jobs.push(job)
        const tools = job.prompt.kind === 'chat' ? job.prompt.tools : []
        if (!tools?.some(tool => tool.type === 'function' && tool.function.strict)) {
          return engine.submit(job, signal)
        }
        const message = "the schema of 'f' cannot be enforced"
        throw new EngineError({ kind: 'invalid_grammar', message, param: 'prompt.tools' })
      },
    },
  })
  return {
    jobs,
    post: (body: object) =>
      app.request('/v1/responses', {
        method: 'POST',
        body: JSON.stringify({ input: 'hi', ...body }),
      }),
  }
}

const f = { type: 'function', name: 'f', parameters: { type: 'object', not: {} } }

test('a function that is strict by default only is loose where its schema cannot be enforced', async () => {
  const { post, jobs } = serverWithoutSchemas()
  const response = await post({ tools: [f], store: false })
  expect(response.status).toBe(200)
  expect(response.headers.get('x-warning')).toMatch(/not strict: the schema of 'f'/)
  expect(jobs).toHaveLength(2)
})

test('one that the request calls strict is refused', async () => {
  const { post } = serverWithoutSchemas()
  const response = await post({ tools: [{ ...f, strict: true }], store: false })
  expect(response.status).toBe(400)
  expect(await response.json()).toMatchObject({
    error: { code: 'invalid_grammar', param: 'tools' },
  })
})

test.each([
  ['stream', { stream: true }],
  ['background', { background: true }],
])('%s: a job that is accepted as its client leaves is not left to itself', async (_, body) => {
  const client = new AbortController()
  const cancelled: string[] = []
  let jobId: string | undefined
  const app = createApp({
    ...appDefaults,
    engine: {
      ...createScriptedEngine(),
      // As from a container whose word of it comes too late.
      async submit(job, signal) {
        jobId = job.jobId
        client.abort()
        throw signal.reason
      },
      async cancel(id) {
        cancelled.push(id)
        return true
      },
    },
  })
  await app.request('/v1/responses', {
    method: 'POST',
    body: JSON.stringify({ input: 'hi', ...body }),
    signal: client.signal,
  })
  expect(cancelled).toEqual([jobId])
})
