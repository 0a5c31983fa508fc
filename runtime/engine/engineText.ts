import type { TextService } from '../text/textService.ts'

/** What the engine asks of the text service. */
export type EngineText = Pick<
  TextService,
  | 'promptTokens'
  | 'encodeNext'
  | 'render'
  | 'decode'
  | 'pieces'
  | 'breakerTokens'
  | 'createDetokenizer'
  | 'tokenBytes'
  | 'isSpecial'
  | 'lost'
  | 'close'
> &
  Partial<Pick<TextService, 'fim' | 'bosId'>>
