import { type CompiledGrammar, GrammarMatcher } from './grammarMatcher.ts'
import type { TokenConstraint } from './tokenConstraint.ts'

/** Holds a sequence to a grammar, from its first token to one that ends the text. */
export class GrammarConstraint implements TokenConstraint {
  readonly #matcher: GrammarMatcher
  readonly #endIds: ReadonlySet<number>

  /** @param endIds tokens that end the text; all of them may where the grammar may end */
  constructor(grammar: CompiledGrammar, endIds: ReadonlySet<number>) {
    this.#matcher = new GrammarMatcher(grammar)
    this.#endIds = endIds
  }

  prepareForced(remaining: number): Promise<void> {
    return this.#matcher.prepareForced(remaining)
  }

  prepareFill(remaining: number): Promise<void> {
    return this.#matcher.prepareFill(remaining)
  }

  forced(): readonly number[] {
    return this.#matcher.forced
  }

  fill(words: Uint32Array, remaining: number): boolean {
    this.#matcher.fill(words, remaining, this.#endIds)
    return true
  }

  accept(token: number): boolean {
    return (this.#endIds.has(token) && this.#matcher.canEnd) || this.#matcher.accept(token)
  }
}
