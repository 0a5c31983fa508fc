import { expect, test } from 'vitest'
import type { ContentPart, GenerateJob } from '../../edge/engine.ts'
import { MediaFetchError } from './fetchMedia.ts'
import { resolveMedia } from './resolveMedia.ts'

const { signal } = new AbortController()

function chat(...contents: (ContentPart[] | string)[]): GenerateJob {
  const messages = contents.map(content => ({ role: 'user', content }))
  return { model: 'm', prompt: { kind: 'chat', messages }, n: 1, sampling: {}, stop: [] }
}

const image = (url: string): ContentPart => ({
  type: 'image',
  source: { kind: 'url', url },
  detail: 'low',
})
const text: ContentPart = { type: 'text', text: 'see' }
const data = (bytes: string): ContentPart => ({
  type: 'image',
  source: { kind: 'data', mimeType: 'image/png', base64: btoa(bytes) },
  detail: 'low',
})

test('named media become data, each fetched once, and the rest stays', async () => {
  const asked: string[] = []
  const fetchMedia = async (url: string) => {
    asked.push(url)
    return { bytes: Buffer.from(url), mimeType: 'image/png' }
  }
  const job = chat('hi', [text, image('a'), image('b')], [image('a'), data('own')])
  expect(await resolveMedia(job, fetchMedia, signal)).toEqual(
    chat('hi', [text, data('a'), data('b')], [data('a'), data('own')]),
  )
  expect(asked).toEqual(['a', 'b'])
  const without = chat('hi', [text, data('own')])
  expect(await resolveMedia(without, fetchMedia, signal)).toBe(without)
})

test('what cannot be fetched is told with its place', async () => {
  const fetchMedia = async () => {
    throw new MediaFetchError('its host does not answer')
  }
  await expect(
    resolveMedia(chat('hi', [text, image('http://a')]), fetchMedia, signal),
  ).rejects.toMatchObject({
    kind: 'unreachable_media',
    param: 'prompt.messages.1.content.1',
    message: "'http://a' cannot be fetched: its host does not answer.",
  })
})

test('a job cannot make the server fetch without end', async () => {
  const fetchMedia = async () => ({ bytes: Buffer.alloc(1), mimeType: '' })
  const many = Array.from({ length: 65 }, (_, i) => image(`http://a/${i}`))
  await expect(resolveMedia(chat(many), fetchMedia, signal)).rejects.toMatchObject({
    kind: 'unreachable_media',
    message: expect.stringContaining('64'),
  })
})
