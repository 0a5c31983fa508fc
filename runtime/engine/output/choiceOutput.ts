import type { TokenLogprob } from '../../../edge/engine.ts'
import type { OutputParser } from '../../parse/outputParser.ts'
import type { ParsedDelta } from '../../parse/tape.ts'
import type { Detokenizer } from '../../text/tokenizer/detokenizer.ts'
import { StopMatcher } from './stop.ts'

/** A piece of output that may be sent, with the tokens whose last byte is in it or that mark its block. */
export type OutputDelta = { logprobs: TokenLogprob[] } & (
  | { kind: 'text' | 'reasoning'; text: string }
  | { kind: 'call'; call: number; name?: string; arguments: string }
)

/** Why an output ends before its sequence does: a stop string in its text, or the one call it may make. */
export type OutputEnd = { kind: 'stop'; stopString: string } | { kind: 'tool_calls' }

export interface ChoiceOutputOptions {
  /** Strings that end the text; what is reasoned or passed to tools may hold them. */
  stops: readonly string[]
  /** Absent: everything is text. */
  parser?: OutputParser
  /** End with the first call. */
  endsAfterCall?: boolean
}

interface HeldToken {
  /** Where its text begins and ends in the output, in UTF-16 units; -1 while its last bytes wait for the rest of a character. */
  start: number
  end: number
  logprob: TokenLogprob | undefined
}

/** From the tokens of a choice to what a reader sees: whole characters, no part of a stop string, no markup. */
export class ChoiceOutput {
  readonly #detokenizer: Detokenizer
  readonly #options: ChoiceOutputOptions
  readonly #stops: StopMatcher
  /** Length of the text decoded. */
  #decoded = 0
  /** Where text ends that is given out or held by the stop strings. */
  #textEnd = 0
  #textHeld = 0
  /** Tokens not given out yet. */
  #tokens: HeldToken[] = []
  #deltas: OutputDelta[] = []
  #numCalls = 0
  #numReasoningTokens = 0
  #end: OutputEnd | undefined

  constructor(detokenizer: Detokenizer, options: ChoiceOutputOptions) {
    this.#detokenizer = detokenizer
    this.#options = options
    this.#stops = new StopMatcher(options.stops)
  }

  /** Set when the output ended by itself; nothing may be pushed any more. */
  get end(): OutputEnd | undefined {
    return this.#end
  }

  /** Calls begun. */
  get numCalls(): number {
    return this.#numCalls
  }

  /** Tokens given out as reasoning, its markup included. */
  get numReasoningTokens(): number {
    return this.#numReasoningTokens
  }

  push(id: number, logprob?: TokenLogprob): OutputDelta[] {
    const start = this.#decoded
    const text = this.#detokenizer.push(id)
    this.#advance(text)
    const end = this.#detokenizer.isMidCharacter ? -1 : this.#decoded
    this.#tokens.push({ start, end, logprob })
    const { parser } = this.#options
    this.#take(parser ? parser.push(text) : this.#plain(text))
    return this.#drain()
  }

  /** Ends the output: gives out what was held back, unless its end makes a stop string. */
  flush(): OutputDelta[] {
    const text = this.#detokenizer.flush()
    this.#advance(text)
    for (const token of this.#tokens) if (token.end < 0) token.end = this.#decoded
    const { parser } = this.#options
    this.#take(parser ? [...parser.push(text), ...parser.flush()] : this.#plain(text))
    if (this.#end === undefined) {
      this.#flushText()
      this.#give({ kind: 'text', text: '' }, this.#decoded)
    }
    return this.#drain()
  }

  #advance(text: string): void {
    // The first character of new text completes what earlier tokens began.
    if (text !== '') {
      for (const token of this.#tokens) if (token.end < 0) token.end = this.#decoded + 1
    }
    this.#decoded += text.length
  }

  #plain(text: string): ParsedDelta[] {
    return [{ kind: 'text', text, end: this.#decoded }]
  }

  #take(deltas: readonly ParsedDelta[]): void {
    for (const delta of deltas) {
      if (this.#end !== undefined) return
      // A stop string does not reach across reasoning or a call.
      if (delta.kind !== 'text') this.#flushText()
      switch (delta.kind) {
        case 'text':
          this.#takeText(delta.text, delta.end)
          break
        case 'reasoning':
          this.#give({ kind: 'reasoning', text: delta.text }, delta.end)
          break
        case 'call_start':
          this.#numCalls++
          this.#giveCall({ name: delta.name, arguments: '' }, delta.end)
          break
        case 'call_arguments':
          this.#giveCall({ arguments: delta.text }, delta.end)
          break
        case 'call_end':
          if (this.#options.endsAfterCall) {
            this.#end = { kind: 'tool_calls' }
            this.#giveCall({ arguments: '' }, this.#decoded)
          }
          break
        case 'markup':
          if (delta.of === 'call') this.#giveCall({ arguments: '' }, delta.end)
          else this.#give({ kind: 'reasoning', text: '' }, delta.end)
      }
    }
  }

  #takeText(text: string, end: number): void {
    const matched = this.#stops.push(text)
    this.#textEnd = end
    this.#textHeld += text.length - matched.text.length
    const { stop } = matched
    if (stop === undefined) {
      this.#give({ kind: 'text', text: matched.text }, end - this.#textHeld)
      return
    }
    this.#end = { kind: 'stop', stopString: stop }
    // What follows the stop string in this piece is held as well: the text ends where the string begins.
    const sent = end - this.#textHeld
    // A token that began before the stop string still counts.
    const isCut = ({ start }: HeldToken) => start < sent
    this.#give({ kind: 'text', text: matched.text }, sent, isCut)
  }

  #flushText(): void {
    const text = this.#stops.flush()
    this.#textHeld = 0
    if (text !== '') this.#give({ kind: 'text', text }, this.#textEnd)
  }

  #giveCall(piece: { name?: string; arguments: string }, end: number): void {
    this.#give({ kind: 'call', call: this.#numCalls - 1, ...piece }, end)
  }

  /** Gives a piece and the tokens up to `end`. */
  #give(piece: Piece, end: number, isCut: (token: HeldToken) => boolean = () => false): void {
    const isSent = (token: HeldToken) => token.end >= 0 && token.end <= end
    let taken = this.#tokens.findIndex(token => !isSent(token) && !isCut(token))
    if (taken < 0) taken = this.#tokens.length
    const tokens = this.#tokens.splice(0, taken)
    if (piece.kind === 'reasoning') this.#numReasoningTokens += tokens.length
    const logprobs = tokens.flatMap(({ logprob }) => logprob ?? [])
    const isEmpty = piece.kind === 'call' ? isEmptyCall(piece) : piece.text === ''
    if (!isEmpty || logprobs.length > 0) this.#deltas.push({ ...piece, logprobs })
  }

  #drain(): OutputDelta[] {
    const deltas = this.#deltas
    this.#deltas = []
    return deltas
  }
}

type Piece =
  | { kind: 'text' | 'reasoning'; text: string }
  | { kind: 'call'; call: number; name?: string; arguments: string }

function isEmptyCall({ name, arguments: text }: Piece & { kind: 'call' }): boolean {
  return name === undefined && text === ''
}
