import type { ChatPrompt } from '../../edge/engine.ts'
import { FileFormatError } from '../weights/fileFormatError.ts'
import { ChatTemplateError } from './chat/chatTemplateError.ts'
import type { TextSource } from './textSource.ts'
import type { FimTokens } from './tokenizer/fimTokens.ts'
import type { EncodeOptions } from './tokenizer/tokenizer.ts'
import type { TokenPieces } from './tokenizer/tokenPieces.ts'

/** What the main thread asks of the text worker. */
export type TextRequest =
  | { op: 'load'; source: TextSource; chatTemplateOverride?: string }
  | { op: 'render'; prompt: ChatPrompt }
  | { op: 'encode'; text: string; options: EncodeOptions }
  | { op: 'encodeChat'; prompt: ChatPrompt }
  | { op: 'decode'; ids: ArrayLike<number>; skipSpecialTokens: boolean }
  | { op: 'tokenIds'; contents: string[] }
  | { op: 'describedCalls' }
  | { op: 'breakers'; texts: string[] }

/** The answers, by `op`. */
export interface TextResults {
  load: TextInfo
  render: string
  encode: Int32Array
  encodeChat: Int32Array
  decode: string
  tokenIds: (number | undefined)[]
  describedCalls: string | undefined
  breakers: Int32Array
}

/** What the main thread keeps of a loaded tokenizer. */
export interface TextInfo {
  pieces: TokenPieces
  bosId: number | undefined
  eosId: number | undefined
  /** Ids that end generation as far as tokenizer and GGUF metadata tell. */
  endIds: number[]
  /** Texts of the chat templates. */
  templates: string[]
  /** undefined: the model does not fill in the middle. */
  fim: FimTokens | undefined
}

export interface TextMessage {
  id: number
  request: TextRequest
}

export type TextReply = { id: number; value: unknown } | { id: number; error: TextErrorData }

/** An error as data: classes do not survive the way between threads. */
export interface TextErrorData {
  name: string
  message: string
  path?: string
  reason?: string
}

export function toErrorData(error: unknown): TextErrorData {
  if (error instanceof FileFormatError) {
    return { name: error.name, message: error.message, path: error.path, reason: error.reason }
  }
  if (error instanceof Error) return { name: error.name, message: error.message }
  return { name: 'Error', message: String(error) }
}

export function fromErrorData(data: TextErrorData): Error {
  if (data.name === 'FileFormatError') {
    return new FileFormatError(data.path ?? '', data.reason ?? data.message)
  }
  if (data.name === 'ChatTemplateError') return new ChatTemplateError(data.message)
  const error = new Error(data.message)
  error.name = data.name
  return error
}
