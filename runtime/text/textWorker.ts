/**
 * The text thread: owns the tokenizer and the chat template of one model, so that neither loading a large vocabulary nor
 * a long prompt ever holds up the event loop of the server.
 */
import { type MessagePort, parentPort } from 'node:worker_threads'
import { FileFormatError } from '../weights/fileFormatError.ts'
import { ChatTemplate, templateTexts } from './chat/chatTemplate.ts'
import { ChatTemplateError } from './chat/chatTemplateError.ts'
import {
  type TextInfo,
  type TextMessage,
  type TextReply,
  type TextRequest,
  toErrorData,
} from './textProtocol.ts'
import { type LoadedText, loadText } from './textSource.ts'
import { breakerTokens } from './tokenizer/breakerTokens.ts'
import type { EncodeOptions } from './tokenizer/tokenizer.ts'
import type { TokenPieces } from './tokenizer/tokenPieces.ts'

/** A value to send, and the buffers that may be moved instead of copied. */
interface Answer {
  value: unknown
  transfer?: ArrayBuffer[]
}

class TextThread {
  #text: LoadedText | undefined
  #path = ''
  #template: ChatTemplate | undefined

  async handle(request: TextRequest): Promise<Answer> {
    switch (request.op) {
      case 'load':
        return await this.#load(request)
      case 'render':
        return { value: this.#chatTemplate().render(request.prompt) }
      case 'encode':
        return this.#encode(request.text, request.options)
      case 'encodeChat': {
        const text = this.#chatTemplate().render(request.prompt)
        const { addsBosToChats } = this.#loaded()
        return this.#encode(text, { addSpecialTokens: addsBosToChats ? 'missingBos' : false })
      }
      case 'decode': {
        const { ids, skipSpecialTokens } = request
        return {
          value: this.#loaded().tokenizer.decode(Array.from(ids), { skipSpecialTokens }),
        }
      }
      case 'tokenIds': {
        const { tokenizer } = this.#loaded()
        return { value: request.contents.map(content => tokenizer.tokenId(content)) }
      }
      case 'describedCalls':
        return { value: this.#template?.describedCalls?.name }
      case 'breakers':
        return { value: breakerTokens(this.#loaded().tokenizer, request.texts) }
    }
  }

  #encode(text: string, options: EncodeOptions): Answer {
    try {
      return ids(this.#loaded().tokenizer.encode(text, options))
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause
      // No string or stack can hold what the tokenizer's steps make of the text.
      throw new FileFormatError(this.#path, `the tokenizer fails on this text: ${cause.message}`)
    }
  }

  async #load(request: Extract<TextRequest, { op: 'load' }>): Promise<Answer> {
    const text = await loadText(request.source)
    const source = request.chatTemplateOverride ?? text.template
    this.#text = text
    this.#path = request.source.kind === 'gguf' ? request.source.path : request.source.dir
    this.#template = source === undefined ? undefined : new ChatTemplate(source, text.specialTokens)
    const isOwn = request.chatTemplateOverride === undefined
    this.#checkTemplate(isOwn ? text.templatePath : '--chat-template')
    const { tokenizer } = text
    const pieces = copyPieces(tokenizer.pieces)
    const value: TextInfo = {
      pieces,
      bosId: tokenizer.bosId,
      eosId: tokenizer.eosId,
      endIds: tokenizer.endIds,
      templates: source === undefined ? [] : templateTexts(source),
      fim: text.fim,
    }
    return { value, transfer: [pieces.bytes, pieces.offsets, pieces.flags].map(a => a.buffer) }
  }

  /** A broken file is better told at load than to every client. */
  #checkTemplate(path: string): void {
    try {
      this.#template?.compile()
    } catch (cause) {
      if (!(cause instanceof ChatTemplateError)) throw cause
      throw new FileFormatError(path, cause.message)
    }
  }

  #loaded(): LoadedText {
    if (this.#text === undefined) throw new Error('no tokenizer is loaded')
    return this.#text
  }

  #chatTemplate(): ChatTemplate {
    if (this.#template === undefined) {
      throw new ChatTemplateError(
        'the model has no chat template; use a plain prompt or give one (--chat-template)',
      )
    }
    return this.#template
  }
}

function ids(value: Int32Array<ArrayBuffer>): Answer {
  return { value, transfer: [value.buffer] }
}

/** Copies to give away: the tokenizer here keeps its own. */
function copyPieces(pieces: TokenPieces) {
  return {
    bytes: new Uint8Array(pieces.bytes),
    offsets: new Uint32Array(pieces.offsets),
    flags: new Uint8Array(pieces.flags),
    leadingSpace: pieces.leadingSpace,
  }
}

function serve(port: MessagePort): void {
  const thread = new TextThread()
  port.on('message', async ({ id, request }: TextMessage) => {
    let reply: TextReply
    let transfer: ArrayBuffer[] = []
    try {
      const answer = await thread.handle(request)
      reply = { id, value: answer.value }
      transfer = answer.transfer ?? []
    } catch (error) {
      reply = { id, error: toErrorData(error) }
    }
    port.postMessage(reply, transfer)
  })
}

if (parentPort) serve(parentPort)
