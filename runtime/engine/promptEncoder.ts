import { type ChatPrompt, EngineError, type GenerateJob } from '../../edge/engine.ts'
import { ChatTemplateError } from '../text/chatTemplateError.ts'
import type { PromptText, TextService } from '../text/textService.ts'

/** Turns prompts into the tokens of one model, and checks that the model can take them. */
export class PromptEncoder {
  readonly #text: Pick<TextService, 'promptTokens' | 'render' | 'tokenBytes'>
  readonly #limits: { vocabSize: number; maxModelLen: number }
  readonly #endOfText: number | undefined

  /** @param endOfText stands for an empty prompt */
  constructor(
    text: Pick<TextService, 'promptTokens' | 'render' | 'tokenBytes'>,
    limits: { vocabSize: number; maxModelLen: number },
    endOfText: number | undefined,
  ) {
    this.#text = text
    this.#limits = limits
    this.#endOfText = endOfText
  }

  /** The prompts of a job; a chat is one. @throws EngineError `invalid` when the chat template refuses the messages */
  async encodeJob({ prompt }: GenerateJob, signal: AbortSignal): Promise<Int32Array[]> {
    if (prompt.kind === 'chat') return [await this.encode(prompt, signal)]
    return Promise.all(
      prompt.prompts.map(async text => {
        const ids =
          typeof text === 'string'
            ? await this.encode({ kind: 'text', text }, signal)
            : Int32Array.from(text)
        return ids.length > 0 || this.#endOfText === undefined
          ? ids
          : Int32Array.of(this.#endOfText)
      }),
    )
  }

  /** @throws EngineError `invalid` when the chat template refuses the messages */
  async encode(prompt: PromptText, signal: AbortSignal): Promise<Int32Array> {
    return this.#text.promptTokens(prompt, signal).catch(refusal)
  }

  /** The text of a conversation. @throws EngineError `invalid` when the chat template refuses the messages */
  render(prompt: ChatPrompt, signal: AbortSignal): Promise<string> {
    return this.#text.render(prompt, signal).catch(refusal)
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
      const room = maxModelLen - prompt.length
      if (room < Math.min(1, job.maxTokens ?? 1)) {
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
