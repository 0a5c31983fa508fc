import type { ContentPart, MediaPart } from '../engine.ts'
import { unsupported } from '../errors.ts'
import { audioPart, filePart, linkedPart } from '../openai/contentParts.ts'
import { invalidValue } from '../schema.ts'
import type { InputContent, InputPart } from './inputItems.ts'

/**
 * Turns content into the engine's, in the order it was given.
 * @param between what joins text parts where there is nothing but text
 * @param path of the content in the request
 * @throws ApiError 400 for media that cannot be decoded, or that are only named
 */
export function toContent(
  content: InputContent,
  between: string,
  path: string,
): string | ContentPart[] {
  if (typeof content === 'string') return content
  const parts = content.map((part, i) => toPart(part, `${path}[${i}]`))
  return parts.every(part => part.type === 'text')
    ? parts.map(part => part.text).join(between)
    : parts
}

function toPart(part: InputPart, path: string): ContentPart {
  switch (part.type) {
    case 'refusal':
      return { type: 'text', text: part.refusal }
    case 'input_image':
      return imagePart(part, path)
    case 'input_audio':
      return audioPart(part.input_audio, `${path}.input_audio.data`)
    case 'input_file':
      return part.file_url === undefined
        ? filePart(part, path)
        : linkedPart('file', part.file_url, `${path}.file_url`)
    default:
      return { type: 'text', text: part.text }
  }
}

type ImagePart = Extract<InputPart, { type: 'input_image' }>

function imagePart({ image_url, file_id, detail }: ImagePart, path: string): MediaPart {
  if (file_id !== undefined) {
    throw unsupported(`${path}.file_id`, 'Uploaded files are not supported by this server.')
  }
  const at = `${path}.image_url`
  if (image_url === undefined) throw invalidValue(at, undefined, 'a URL')
  return {
    ...linkedPart('image', image_url, at),
    ...(detail !== undefined && { detail: detail === 'original' ? 'high' : detail }),
  }
}
