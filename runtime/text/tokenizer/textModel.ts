import type { IdBuffer } from './idBuffer.ts'

/** The step of a tokenizer that turns one word (a piece that no token crosses the ends of) into token ids. */
export interface TextModel {
  /** Appends the ids of `word`. */
  encode(word: string, out: IdBuffer): void
}
