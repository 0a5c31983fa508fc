import type { FinishReason, GenerateJob, TokenLogprob } from '../engine.ts'
import { END_TOKEN, scriptedBytes, scriptedHash, scriptedText } from './scriptedVocabulary.ts'

/** What one token of a choice leads to. */
export interface ScriptedStep {
  /** Text that can no longer become part of a stop string. */
  text: string
  logprobs: TokenLogprob[]
  finish?: { reason: FinishReason; stopString?: string }
}

/** Plays a row of tokens as one choice of a job: complete characters only, stop strings, token limit. */
export class ScriptedChoice {
  readonly #job: GenerateJob
  readonly #tokens: Iterator<number>
  readonly #maxTokens: number
  readonly #decoder = new TextDecoder()
  #heldText = ''
  #heldLogprobs: TokenLogprob[] = []
  numTokens = 0

  constructor(job: GenerateJob, tokens: Iterator<number>, maxTokens: number) {
    this.#job = job
    this.#tokens = tokens
    this.#maxTokens = maxTokens
  }

  next(): ScriptedStep {
    if (this.numTokens >= this.#maxTokens) return this.#flush('length')
    const id = this.#tokens.next().value ?? END_TOKEN
    this.numTokens++
    if (id === END_TOKEN) return this.#flush('stop')
    const { logprobs, stop } = this.#job
    this.#heldText += this.#decoder.decode(Uint8Array.from(scriptedBytes(id)), { stream: true })
    if (logprobs) this.#heldLogprobs.push(scriptedLogprob(id, logprobs.top))
    const match = firstMatch(this.#heldText, stop)
    if (match !== undefined) {
      this.#heldLogprobs = []
      const finish = { reason: 'stop' as const, stopString: match.stop }
      return { text: this.#heldText.slice(0, match.at), logprobs: [], finish }
    }
    if (this.numTokens >= this.#maxTokens) return this.#flush('length')
    const numHeld = heldLength(this.#heldText, stop)
    const text = this.#heldText.slice(0, this.#heldText.length - numHeld)
    this.#heldText = this.#heldText.slice(text.length)
    return { text, logprobs: numHeld > 0 ? [] : this.#takeLogprobs() }
  }

  #flush(reason: FinishReason): ScriptedStep {
    const text = this.#heldText + this.#decoder.decode()
    this.#heldText = ''
    return { text, logprobs: this.#takeLogprobs(), finish: { reason } }
  }

  #takeLogprobs(): TokenLogprob[] {
    const taken = this.#heldLogprobs
    this.#heldLogprobs = []
    return taken
  }
}

/** Log-probabilities that depend on the token alone; the chosen token is always the best one. */
export function scriptedLogprob(id: number, numTop: number): TokenLogprob {
  const logprob = -(scriptedHash(id) % 1000) / 1000
  const describe = (token: number, rank: number) => ({
    id: token,
    token: scriptedText([token]),
    bytes: scriptedBytes(token),
    logprob: logprob - rank,
  })
  const top = Array.from({ length: numTop }, (_, rank) =>
    describe(rank === 0 ? id : 64 + rank, rank),
  )
  return { ...describe(id, 0), top }
}

function firstMatch(text: string, stops: string[]): { at: number; stop: string } | undefined {
  if (stops.length === 0) return undefined
  return stops
    .map(stop => ({ at: text.indexOf(stop), stop }))
    .filter(({ at }) => at >= 0)
    .toSorted((a, b) => a.at - b.at)[0]
}

/** Length of the longest end of `text` that begins a stop string. */
function heldLength(text: string, stops: string[]): number {
  const longest = Math.max(0, ...stops.map(stop => stop.length - 1))
  for (let length = Math.min(longest, text.length); length > 0; length--) {
    if (stops.some(stop => stop.startsWith(text.slice(-length)))) return length
  }
  return 0
}
