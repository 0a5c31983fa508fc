import type { MediaPart, Modality } from '../engine.ts'
import { unsupported } from '../errors.ts'
import { isObject } from '../jsonObject.ts'
import { mediaData } from '../openai/mediaData.ts'
import { invalidValue } from '../schema.ts'

/** A `source` of an image or a document. @throws ApiError 400 naming the field */
export function toMediaPart(type: Modality, source: unknown, at: string): MediaPart {
  if (!isObject(source)) throw invalidValue(at, source ?? undefined, 'an object')
  if (source.type === 'base64') {
    const { media_type, data } = source
    if (typeof media_type !== 'string') {
      throw invalidValue(`${at}.media_type`, media_type ?? undefined, 'a media type')
    }
    if (typeof data !== 'string') throw invalidValue(`${at}.data`, data ?? undefined, 'base64')
    return { type, source: mediaData(data, media_type, type, `${at}.data`) }
  }
  if (source.type === 'url') {
    if (typeof source.url !== 'string') {
      throw invalidValue(`${at}.url`, source.url ?? undefined, 'a URL')
    }
    return { type, source: { kind: 'url', url: source.url } }
  }
  if (source.type === 'file') {
    throw unsupported(`${at}.type`, 'Uploaded files are not supported by this server.')
  }
  throw invalidValue(`${at}.type`, source.type ?? undefined, "'base64' or 'url'")
}
