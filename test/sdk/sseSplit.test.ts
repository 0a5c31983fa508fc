import OpenAI from 'openai'
import { expect, test } from 'vitest'
import { deployInProcess } from '../http/deployment.ts'

test('the client reads the same stream wherever its bytes are split', {
  timeout: 90_000,
}, async () => {
  const { fetch } = await deployInProcess({ engine: { reply: () => 'Hé "😀" \u2028 line\nbreak' } })
  const request = { model: 'default', messages: [{ role: 'user' as const, content: 'hi' }] }
  let recorded: { headers: Headers; bytes: Uint8Array } | undefined
  let cut = 0
  const client = new OpenAI({
    baseURL: 'http://in.process/v1',
    apiKey: 'EMPTY',
    fetch: async (url, init) => {
      if (recorded === undefined) {
        const { pathname } = new URL(String(url))
        const response = await fetch(pathname, init as RequestInit)
        recorded = { headers: response.headers, bytes: await response.bytes() }
      }
      const { headers, bytes } = recorded
      const pieces = [bytes.subarray(0, cut), bytes.subarray(cut)]
      return new Response(ReadableStream.from(pieces), { headers })
    },
  })
  for (; cut < (recorded?.bytes.length ?? 1); cut++) {
    let text = ''
    for await (const { choices } of await client.chat.completions.create({
      ...request,
      stream: true,
    })) {
      text += choices[0]?.delta.content ?? ''
    }
    expect([cut, text]).toEqual([cut, 'Hé "😀" \u2028 line\nbreak'])
  }
  expect(cut).toBeGreaterThan(1000)
})
