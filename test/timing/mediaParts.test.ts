import { expect, test } from 'vitest'
import { toContent } from '../../edge/openai/contentParts.ts'

const image = (url: string) => ({ type: 'image_url' as const, image_url: url })
const file = (file_data: string) => ({
  type: 'file' as const,
  file: { file_data, file_id: undefined, filename: undefined },
})

// 10 to 100 ms each on an idle machine; a character at a time through callbacks took seconds, with everybody else waiting.
test.each([
  ['base64', image(`data:image/png;base64,${'A'.repeat(20_000_000)}`)],
  ['percent encoding', image(`data:image/png,${'%41'.repeat(3_000_000)}`)],
  ['a text file', file(`data:text/plain;base64,${'QUJD'.repeat(5_000_000)}`)],
])('megabytes of %s hold nothing up', { retry: 2 }, (_, part) => {
  const startMs = performance.now()
  toContent([part], 'messages[0].content')
  expect(performance.now() - startMs).toBeLessThan(1000)
})
