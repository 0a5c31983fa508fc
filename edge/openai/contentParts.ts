import { z } from 'zod'
import type { ContentPart, MediaPart } from '../engine.ts'
import { invalidRequest, unsupported } from '../errors.ts'
import { fromBase64 } from '../http/base64.ts'
import { field, optional } from '../schema.ts'
import { decodeDataUrl, isDataUrl, mediaData } from './mediaData.ts'

const url = z.union([field.string(), z.object({ url: field.string() })], {
  error: "a URL, or an object with 'url'",
})
const imageUrl = z.union(
  [
    field.string(),
    z.object({ url: field.string(), detail: optional(field.oneOf('auto', 'low', 'high')) }),
  ],
  { error: "a URL, or an object with 'url'" },
)

export const audioField = z.object(
  { data: field.string(), format: field.oneOf('wav', 'mp3') },
  'an object',
)

/** No type is text, as clients of older servers write it. */
const textPart = z.object({ type: z.literal('text').nullish(), text: field.string() }, 'a part')
const refusalPart = z.object({ type: z.literal('refusal'), refusal: field.string() })
const mediaParts = [
  z.object({ type: z.literal('image_url'), image_url: imageUrl }),
  z.object({ type: z.literal('image'), image: imageUrl }),
  z.object({ type: z.literal('audio_url'), audio_url: url }),
  z.object({ type: z.literal('video_url'), video_url: url }),
  z.object({
    type: z.literal('input_audio'),
    input_audio: audioField,
  }),
  z.object({
    type: z.literal('file'),
    file: z.object(
      {
        file_id: optional(field.string()),
        filename: optional(field.string()),
        file_data: optional(field.string()),
      },
      'an object',
    ),
  }),
] as const

const textOnly = z.discriminatedUnion('type', [textPart, refusalPart], "'text' or 'refusal'")
const anyPart = z.discriminatedUnion(
  'type',
  [textPart, refusalPart, ...mediaParts],
  `'text' or one of ${mediaParts.map(part => `'${part.shape.type.value}'`).join(', ')}`,
)

type Part = z.infer<typeof anyPart>

function content<T extends z.ZodType>(part: T) {
  return z.union([field.string(), z.array(part).min(1, 'at least one content part')], {
    error: 'a string or an array of content parts',
  })
}

/** Content of turns that only hold text, and of those that may hold media. */
export const textContent = content(textOnly)
export const mixedContent = content(anyPart)

/**
 * Turns content into the engine's, in the order it was given; text parts are joined with nothing between them.
 * @param path of the content in the request
 * @throws ApiError 400 for media that cannot be decoded, or that are only named
 */
export function toContent(content: string | Part[], path: string): string | ContentPart[] {
  if (typeof content === 'string') return content
  const parts = content.map((part, i) => toPart(part, `${path}[${i}]`))
  return parts.every(part => part.type === 'text') ? parts.map(part => part.text).join('') : parts
}

function toPart(part: Part, path: string): ContentPart {
  switch (part.type) {
    case 'refusal':
      return { type: 'text', text: part.refusal }
    case 'image_url':
      return imagePart(part.image_url, `${path}.image_url`)
    case 'image':
      return imagePart(part.image, `${path}.image`)
    case 'audio_url':
      return linkedPart('audio', part.audio_url, `${path}.audio_url`)
    case 'video_url':
      return linkedPart('video', part.video_url, `${path}.video_url`)
    case 'input_audio':
      return audioPart(part.input_audio, `${path}.input_audio.data`)
    case 'file':
      return filePart(part.file, `${path}.file`)
    default:
      return { type: 'text', text: part.text }
  }
}

function imagePart(image: z.infer<typeof imageUrl>, path: string): MediaPart {
  const detail = typeof image === 'string' ? undefined : image.detail
  return { ...linkedPart('image', image, path), ...(detail && { detail }) }
}

/** Media behind an address, or in a data URL. @throws ApiError 400 when those cannot be decoded */
export function linkedPart(
  type: MediaPart['type'],
  link: z.infer<typeof url>,
  path: string,
): MediaPart {
  const [address, at] = typeof link === 'string' ? [link, path] : [link.url, `${path}.url`]
  if (isDataUrl(address)) return { type, source: decodeDataUrl(address, type, at) }
  return { type, source: { kind: 'url', url: address } }
}

const audioTypes = { wav: 'audio/wav', mp3: 'audio/mpeg' }

/** @throws ApiError 400 for what is not base64 */
export function audioPart({ data, format }: { data: string; format: 'wav' | 'mp3' }, path: string) {
  return { type: 'audio', source: mediaData(data, audioTypes[format], 'audio', path) } as const
}

interface FileFields {
  file_id?: string | undefined
  filename?: string | undefined
  file_data?: string | undefined
}

/** @throws ApiError 400 for a file that is only named, or cannot be decoded */
export function filePart({ file_id, filename, file_data }: FileFields, path: string): ContentPart {
  if (file_id !== undefined) {
    throw unsupported(`${path}.file_id`, 'Uploaded files are not supported by this server.')
  }
  if (file_data === undefined) {
    throw invalidRequest(
      `${path}.file_data`,
      `Missing required parameter: '${path}.file_data'.`,
      'missing_required_parameter',
    )
  }
  const source = mediaData(file_data, 'application/octet-stream', 'file', `${path}.file_data`)
  // What is text already needs no model that reads files.
  if (source.mimeType.startsWith('text/')) {
    const text = new TextDecoder().decode(fromBase64(source.base64))
    return { type: 'text', text: filename === undefined ? text : `${filename}:\n${text}\n` }
  }
  return { type: 'file', source, ...(filename !== undefined && { filename }) }
}
