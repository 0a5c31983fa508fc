import type { ChatPrompt } from '../../edge/engine.ts'
import type { TokenPieces } from '../text/tokenPieces.ts'

/** What the engine needs of the text service; tests bring their own. */
export interface TextPort {
  /** The decoding side of the vocabulary, used on this thread. */
  readonly pieces: TokenPieces
  /** Applies the chat template. @throws EngineError `invalid` for what the template rejects */
  render(chat: ChatPrompt): Promise<string>
  encode(
    text: string,
    options: { addSpecialTokens: boolean; parseSpecial: boolean },
  ): Promise<Int32Array>
}
