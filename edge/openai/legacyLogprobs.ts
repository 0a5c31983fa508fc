import type { TokenLogprob } from '../engine.ts'

/** The logprobs object of legacy completions: parallel lists, offsets in characters (code points) of the choice's text. */
export interface LegacyLogprobs {
  tokens: string[]
  token_logprobs: (number | null)[]
  top_logprobs: (Record<string, number> | null)[]
  text_offset: number[]
}

/**
 * Describes the tokens of one choice, in pieces as they come. Offsets are counted over raw bytes, so a character made of
 * several tokens has one offset, that of the character.
 */
export class LegacyLogprobCounter {
  #numChars = 0

  /**
   * Describes tokens of the prompt, whose text is known. A token that is not in the text, such as one for the beginning
   * of a document, takes no room in it.
   */
  prompt(tokens: TokenLogprob[], text: string): LegacyLogprobs {
    const bytes = new TextEncoder().encode(text)
    let at = 0
    const offsets = tokens.map(token => {
      const piece = matchAt(bytes, at, token.bytes)
      at += piece.length
      return this.#advance(piece)
    })
    // What the tokens did not cover still is text that the choice begins with.
    this.#advance([...bytes.subarray(at)])
    return legacyLogprobs(tokens, offsets)
  }

  generated(tokens: TokenLogprob[]): LegacyLogprobs {
    return legacyLogprobs(
      tokens,
      tokens.map(({ bytes }) => this.#advance(bytes)),
    )
  }

  #advance(bytes: number[]): number {
    const inside = bytes.length > 0 && isContinuation(bytes[0])
    const offset = this.#numChars - Number(inside && this.#numChars > 0)
    for (const byte of bytes) if (!isContinuation(byte)) this.#numChars++
    return offset
  }
}

function legacyLogprobs(tokens: TokenLogprob[], text_offset: number[]): LegacyLogprobs {
  return {
    tokens: tokens.map(({ token }) => token),
    token_logprobs: tokens.map(({ logprob }) => logprob),
    top_logprobs: tokens.map(topLogprobs),
    text_offset,
  }
}

/** The alternatives, and always the chosen token too. Of two tokens with the same text the more probable one is told. */
function topLogprobs({ token, logprob, top }: TokenLogprob): Record<string, number> | null {
  if (logprob === null) return null
  const entries = [...top, { token, logprob }].map(t => [t.token, t.logprob] as const)
  return Object.fromEntries(entries.toSorted((a, b) => b[1] - a[1]).filter(firstOfItsText))
}

function firstOfItsText(
  [text]: readonly [string, number],
  index: number,
  entries: (readonly [string, number])[],
): boolean {
  return entries.findIndex(([other]) => other === text) === index
}

/** The bytes of a token that are found at `at`; some vocabularies put a space before the first word. */
function matchAt(bytes: Uint8Array, at: number, token: number[]): number[] {
  const found = (piece: number[]) => piece.every((byte, i) => bytes[at + i] === byte)
  if (found(token)) return token
  const bare = token.slice(1)
  return at === 0 && token[0] === 0x20 && found(bare) ? bare : []
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80
}
