import { expect } from 'vitest'
import { post } from './httpSuite.ts'
import { sseData } from './sseData.ts'

/** A stream of each protocol that the scripted container does not end, and how it tells that its engine is lost. */
export interface LostStream {
  path: string
  init: RequestInit
  expectError(text: string): void
}

function expectOpenaiError(text: string): void {
  const data = sseData(text)
  expect(data.pop()).toBe('[DONE]')
  expect(JSON.parse(data.at(-1) ?? '')).toEqual({
    error: { message: expect.any(String), type: 'server_error', param: null, code: null },
  })
}

function expectAnthropicError(text: string): void {
  expect(text).toMatch(/(^|\n)event: error\ndata: [^\n]*\n\n$/)
  expect(JSON.parse(sseData(text).at(-1) ?? '')).toMatchObject({
    type: 'error',
    error: { type: 'api_error', message: expect.any(String) },
  })
}

const common = { model: 'default', stream: true, max_tokens: 3000 }
const messages = [{ role: 'user', content: 'endless' }]

export const chatStream: LostStream = {
  path: '/v1/chat/completions',
  init: post({ ...common, messages }),
  expectError: expectOpenaiError,
}

export const lostStreams: LostStream[] = [
  chatStream,
  {
    path: '/v1/completions',
    init: post({ ...common, prompt: 'endless' }),
    expectError: expectOpenaiError,
  },
  {
    path: '/v1/messages',
    init: post({ ...common, messages }),
    expectError: expectAnthropicError,
  },
]

/** A stream that has begun. */
export async function opened(response: Response) {
  expect(response.status).toBe(200)
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  await reader.read()
  return reader
}

/** What is left of a stream, and how long it took. */
export async function rest(reader: ReadableStreamDefaultReader<Uint8Array>) {
  const startMs = performance.now()
  let text = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return { text, ms: performance.now() - startMs }
    text += new TextDecoder().decode(value)
  }
}

export async function expectUpstreamError(response: Response): Promise<void> {
  expect(response.status).toBe(502)
  expect(await response.json()).toMatchObject({
    error: { type: 'server_error', code: 'upstream_error' },
  })
}
