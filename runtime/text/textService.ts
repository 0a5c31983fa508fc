import type { ChatPrompt } from '../../edge/engine.ts'
import { TextLanes } from './textLanes.ts'
import type { TextInfo } from './textProtocol.ts'
import type { TextSource } from './textSource.ts'
import { Detokenizer } from './tokenizer/detokenizer.ts'
import type { FimTokens } from './tokenizer/fimTokens.ts'
import type { EncodeOptions } from './tokenizer/tokenizer.ts'
import { pieceBytes, type TokenPieces, tokenFlag } from './tokenizer/tokenPieces.ts'

export interface TextLoadOptions {
  source: TextSource
  /** Text of a Jinja template to use instead of the model's. */
  chatTemplateOverride?: string
  signal?: AbortSignal
}

/** A prompt that has no ids yet. */
export type PromptText = ChatPrompt | { kind: 'text'; text: string; addSpecialTokens?: boolean }

/**
 * Templates and tokenization of one model, done on threads of their own; what is needed for every generated token
 * (bytes of a token, detokenizing) is kept here. Aborting a call rejects it at once with the signal's reason.
 */
export class TextService {
  readonly vocabSize: number
  readonly bosId: number | undefined
  readonly eosId: number | undefined
  /** Ids that end generation as far as tokenizer and GGUF metadata tell. */
  readonly endIds: readonly number[]
  /** Texts of the model's chat templates, none for a model without. */
  readonly templates: readonly string[]
  /** undefined: the model does not fill in the middle. */
  readonly fim: FimTokens | undefined
  readonly #info: TextInfo
  readonly #lanes: TextLanes

  private constructor(lanes: TextLanes, info: TextInfo) {
    this.#lanes = lanes
    this.#info = info
    this.vocabSize = info.pieces.flags.length
    this.bosId = info.bosId
    this.eosId = info.eosId
    this.endIds = info.endIds
    this.templates = info.templates
    this.fim = info.fim
  }

  /** Starts a thread and loads a model's text files. @throws FileFormatError naming a broken or missing file */
  static async load(options: TextLoadOptions): Promise<TextService> {
    const { source, chatTemplateOverride, signal } = options
    const { lanes, info } = await TextLanes.load(
      { op: 'load', source, ...(chatTemplateOverride !== undefined && { chatTemplateOverride }) },
      signal,
    )
    return new TextService(lanes, info)
  }

  /** Settles when nothing can be tokenized or rendered any more; calls are then rejected with EngineError `unavailable`. */
  get lost(): Promise<Error> {
    return this.#lanes.lost
  }

  /** The text of a conversation. @throws ChatTemplateError when the template refuses or there is none */
  render(prompt: ChatPrompt, signal?: AbortSignal): Promise<string> {
    return this.#lanes.call({ op: 'render', prompt }, { signal })
  }

  encode(text: string, options: EncodeOptions, signal?: AbortSignal): Promise<Int32Array> {
    return this.#lanes.call({ op: 'encode', text, options }, { signal })
  }

  /** Ids of a short text in the middle of another, for which a step waits: before what else waits. */
  encodeNext(text: string): Promise<Int32Array> {
    const options = { addSpecialTokens: false }
    return this.#lanes.call({ op: 'encode', text, options }, { isUrgent: true })
  }

  /**
   * Prompt ids. Conversations carry their special tokens through the template (but see docs/decisions/chat-bos.md); plain text
   * gets those the tokenizer adds, by default.
   * @throws ChatTemplateError
   */
  promptTokens(prompt: PromptText, signal?: AbortSignal): Promise<Int32Array> {
    if (prompt.kind === 'chat') return this.#lanes.call({ op: 'encodeChat', prompt }, { signal })
    return this.encode(prompt.text, { addSpecialTokens: prompt.addSpecialTokens ?? true }, signal)
  }

  /** Ids of tokens by their text, undefined where there is none. */
  tokenIds(contents: string[], signal?: AbortSignal): Promise<(number | undefined)[]> {
    return this.#lanes.call({ op: 'tokenIds', contents }, { signal })
  }

  /** Name of the format of calls in which prompts tell of tools; undefined where the chat template shows them, or is none. */
  describedCalls(signal?: AbortSignal): Promise<string | undefined> {
    return this.#lanes.call({ op: 'describedCalls' }, { signal })
  }

  /** Tokens that hold one of the texts, for the sequence breakers of DRY. */
  breakerTokens(texts: string[], signal?: AbortSignal): Promise<Int32Array> {
    return this.#lanes.call({ op: 'breakers', texts }, { signal })
  }

  /** What each token stands for. */
  get pieces(): TokenPieces {
    return this.#info.pieces
  }

  /** Raw bytes a token adds to a text, a view. */
  tokenBytes(id: number): Uint8Array {
    return pieceBytes(this.#info.pieces, id)
  }

  isSpecial(id: number): boolean {
    return ((this.#info.pieces.flags[id] ?? 0) & tokenFlag.special) !== 0
  }

  /** One for each sequence; see `Detokenizer` for the options. */
  createDetokenizer(options: ConstructorParameters<typeof Detokenizer>[1]): Detokenizer {
    return new Detokenizer(this.#info.pieces, options)
  }

  /** Text of a whole sequence. */
  decode(
    ids: ArrayLike<number>,
    options: { skipSpecialTokens: boolean },
    signal?: AbortSignal,
  ): Promise<string> {
    return this.#lanes.call({ op: 'decode', ids, ...options }, { signal })
  }

  /** Ends the threads; calls under way are rejected. */
  close(): Promise<void> {
    return this.#lanes.close()
  }
}
