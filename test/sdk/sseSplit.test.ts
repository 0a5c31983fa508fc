import OpenAI from 'openai'
import { expect, test } from 'vitest'
import { deployInProcess } from '../http/deployment.ts'

test('the client reads the same stream wherever its bytes are split', async () => {
  const { fetch } = await deployInProcess({ engine: { reply: () => 'Hé "😀" \u2028 line\nbreak' } })
  const request = { model: 'default', messages: [{ role: 'user' as const, content: 'hi' }] }
  let cut = 0
  let numBytes = 1
  const client = new OpenAI({
    baseURL: 'http://in.process/v1',
    apiKey: 'EMPTY',
    fetch: async (url, init) => {
      const { pathname } = new URL(String(url))
      const response = await fetch(pathname, init as RequestInit)
      const bytes = new Uint8Array(await response.arrayBuffer())
      numBytes = bytes.length
      const pieces = [bytes.subarray(0, cut), bytes.subarray(cut)]
      return new Response(ReadableStream.from(pieces), response)
    },
  })
  for (; cut < numBytes; cut++) {
    let text = ''
    for await (const { choices } of await client.chat.completions.create({
      ...request,
      stream: true,
    })) {
      text += choices[0]?.delta.content ?? ''
    }
    expect([cut, text]).toEqual([cut, 'Hé "😀" \u2028 line\nbreak'])
  }
  expect(numBytes).toBeGreaterThan(1000)
})
