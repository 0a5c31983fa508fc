import type { TokenLogprob } from '../../edge/engine.ts'
import type { Detokenizer } from '../text/detokenizer.ts'
import { StopMatcher } from './stop.ts'

/** Text that may be sent, with the tokens whose last byte is in it; `stop` names the stop string that ended the text. */
export interface OutputDelta {
  text: string
  logprobs: TokenLogprob[]
  stop?: string
}

/** From the sampled tokens of a choice to the text a reader sees: whole characters, and no part of a stop string. */
export class ChoiceOutput {
  readonly #detokenizer: Detokenizer
  readonly #stops: StopMatcher
  /** Lengths in UTF-16 units of the text decoded and of the text given out. */
  #decoded = 0
  #sent = 0
  /** Tokens not given out yet; `end` is -1 while their last bytes wait for the rest of a character. */
  #held: { start: number; end: number; logprob: TokenLogprob }[] = []

  constructor(detokenizer: Detokenizer, stops: readonly string[]) {
    this.#detokenizer = detokenizer
    this.#stops = new StopMatcher(stops)
  }

  push(id: number, logprob?: TokenLogprob): OutputDelta {
    const start = this.#decoded
    const text = this.#detokenizer.push(id)
    this.#advance(text)
    if (logprob !== undefined) {
      this.#held.push({
        start,
        end: this.#detokenizer.isMidCharacter ? -1 : this.#decoded,
        logprob,
      })
    }
    return this.#give(this.#stops.push(text))
  }

  /** Ends the text: gives out what was held back, unless its end makes a stop string. */
  flush(): OutputDelta {
    const text = this.#detokenizer.flush()
    this.#advance(text)
    for (const token of this.#held) if (token.end < 0) token.end = this.#decoded
    const matched = this.#stops.push(text)
    if (matched.stop !== undefined) return this.#give(matched)
    return this.#give({ text: matched.text + this.#stops.flush() })
  }

  #advance(text: string): void {
    // The first character of new text completes what earlier tokens began.
    if (text !== '') {
      for (const token of this.#held) if (token.end < 0) token.end = this.#decoded + 1
    }
    this.#decoded += text.length
  }

  #give(matched: { text: string; stop?: string }): OutputDelta {
    this.#sent += matched.text.length
    const logprobs: TokenLogprob[] = []
    let taken = 0
    for (const { start, end, logprob } of this.#held) {
      const isSent = end >= 0 && end <= this.#sent
      // The text ended here: a token that began before the stop string still counts.
      const isCut = matched.stop !== undefined && start < this.#sent
      if (!isSent && !isCut) break
      logprobs.push(logprob)
      taken++
    }
    this.#held.splice(0, taken)
    return { ...matched, logprobs }
  }
}
