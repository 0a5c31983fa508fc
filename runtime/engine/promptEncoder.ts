import {
  type ChatPrompt,
  EngineError,
  type GenerateJob,
  type Tokenized,
  type TokenizeJob,
} from '../../edge/engine.ts'
import { ChatTemplateError } from '../text/chat/chatTemplateError.ts'
import type { PromptText, TextService } from '../text/textService.ts'
import { type FimTokens, numFimTokens, toFimPrompt } from '../text/tokenizer/fimTokens.ts'
import { truncateAroundGap, truncateChat, truncateIds } from './truncatePrompt.ts'

type PromptService = Pick<TextService, 'promptTokens' | 'render' | 'tokenBytes'> &
  Partial<Pick<TextService, 'fim' | 'bosId'>>

/** Turns prompts into the tokens of one model, and checks that the model can take them. */
export class PromptEncoder {
  readonly #text: PromptService
  readonly #limits: { vocabSize: number; maxModelLen: number }
  readonly #endOfText: number | undefined

  /** @param endOfText stands for an empty prompt */
  constructor(
    text: PromptService,
    limits: { vocabSize: number; maxModelLen: number },
    endOfText: number | undefined,
  ) {
    this.#text = text
    this.#limits = limits
    this.#endOfText = endOfText
  }

  /**
   * The prompts of a job; a chat is one.
   * @throws EngineError `invalid` when the chat template refuses the messages, or the model has no gap for a suffix
   */
  async encodeJob(job: GenerateJob, signal: AbortSignal): Promise<Int32Array[]> {
    const { prompt } = job
    // Not more than what would be refused is dropped, and then room is made for all that was asked for.
    const fits = (ids: Int32Array) =>
      !job.truncatePrompt || this.#room(ids) >= Math.min(1, job.maxTokens ?? 1)
    if (prompt.kind === 'chat') {
      const ids = await this.encode(prompt, signal)
      if (fits(ids)) return [ids]
      const encode = (messages: ChatPrompt['messages']) =>
        this.encode({ ...prompt, messages }, signal)
      return [await truncateChat(prompt, this.#truncatedLength(job), this.#text.bosId, encode)]
    }
    const { bosId } = this.#text
    const maxTokens = this.#truncatedLength(job)
    const texts = await Promise.all(prompt.prompts.map(text => this.#encodeText(text, signal)))
    if (prompt.suffix === undefined) {
      return texts
        .map(ids => this.#orEndOfText(ids))
        .map(ids => (fits(ids) ? ids : truncateIds(ids, maxTokens, bosId)))
    }
    const { fim, after } = await this.#encodeSuffix(prompt.suffix, signal)
    return texts.map(before => {
      const whole = toFimPrompt(fim, before, after, bosId)
      if (fits(whole)) return whole
      const cut = truncateAroundGap(before, after, maxTokens - numFimTokens, bosId)
      return toFimPrompt(fim, cut.before, cut.after, bosId)
    })
  }

  async #encodeText(text: string | number[], signal: AbortSignal): Promise<Int32Array> {
    return typeof text === 'string'
      ? this.encode({ kind: 'text', text }, signal)
      : Int32Array.from(text)
  }

  #orEndOfText(ids: Int32Array): Int32Array {
    return ids.length > 0 || this.#endOfText === undefined ? ids : Int32Array.of(this.#endOfText)
  }

  async #encodeSuffix(
    text: string,
    signal: AbortSignal,
  ): Promise<{ fim: FimTokens; after: Int32Array }> {
    const { fim } = this.#text
    if (fim === undefined) {
      const message = 'This model has no tokens for filling in the middle of a text.'
      throw new EngineError({ kind: 'invalid', message, param: 'prompt.suffix' })
    }
    return {
      fim,
      after: await this.encode({ kind: 'text', text, addSpecialTokens: false }, signal),
    }
  }

  #room({ length }: Int32Array): number {
    return this.#limits.maxModelLen - length
  }

  /** More output than the context holds cannot be made room for. */
  #truncatedLength({ maxTokens = 1 }: GenerateJob): number {
    const { maxModelLen } = this.#limits
    return maxModelLen - (maxTokens < maxModelLen ? maxTokens : 1)
  }

  /** @throws EngineError `invalid` when the chat template refuses the messages */
  async encode(prompt: PromptText, signal: AbortSignal): Promise<Int32Array> {
    return this.#text.promptTokens(prompt, signal).catch(refusal)
  }

  /** The text of a conversation. @throws EngineError `invalid` when the chat template refuses the messages */
  render(prompt: ChatPrompt, signal: AbortSignal): Promise<string> {
    return this.#text.render(prompt, signal).catch(refusal)
  }

  async tokenize(
    job: TokenizeJob,
    info: { id: string; maxModelLen: number },
    signal: AbortSignal,
  ): Promise<Tokenized> {
    signal.throwIfAborted()
    const { prompt, addSpecialTokens = true } = job
    const text = prompt.kind === 'text' ? { ...prompt, addSpecialTokens } : prompt
    const ids = await this.encode(text, signal)
    return {
      model: info.id,
      count: ids.length,
      tokens: job.countOnly ? [] : [...ids],
      ...(job.rendered && {
        rendered: prompt.kind === 'text' ? prompt.text : await this.render(prompt, signal),
      }),
      ...(job.pieces && {
        pieces: Array.from(ids, id => Buffer.from(this.#text.tokenBytes(id)).toString('utf8')),
      }),
      maxModelLen: info.maxModelLen,
    }
  }

  /** @throws EngineError for a prompt that is empty, too long or of tokens the model does not have */
  check(job: GenerateJob, prompts: readonly Int32Array[]): void {
    const { maxModelLen, vocabSize } = this.#limits
    const param = job.prompt.kind === 'chat' ? 'prompt.messages' : 'prompt.prompts'
    for (const prompt of prompts) {
      if (prompt.length === 0) {
        throw new EngineError({ kind: 'invalid', message: 'The prompt is empty.', param })
      }
      // Tokenizers may have more tokens than the model: Gemma 3's text models keep that of an image.
      const unknown = prompt.find(id => id >= vocabSize)
      if (unknown !== undefined) {
        const text = Buffer.from(this.#text.tokenBytes(unknown)).toString('utf8')
        const message = `The prompt holds "${text}" (token ${unknown}), which this model does not know.`
        throw new EngineError({ kind: 'invalid', message, param })
      }
      if (this.#room(prompt) < Math.min(1, job.maxTokens ?? 1)) {
        const message = `The prompt has ${prompt.length} tokens, and the context holds ${maxModelLen} with at least one token of output.`
        throw new EngineError({ kind: 'context_length', message, param })
      }
    }
  }
}

function refusal(cause: unknown): never {
  if (!(cause instanceof ChatTemplateError)) throw cause
  const { message } = cause
  throw new EngineError({ kind: 'invalid', message, param: 'prompt.messages' }, { cause })
}
