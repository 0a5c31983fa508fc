/** What the next token of a sequence may be; it follows the sequence token by token. */
export interface TokenConstraint {
  /** Finds what the next `forced` tells. */
  prepareForced(remaining: number): Promise<void>
  /** Tokens that come next whatever the model would say: none, or at least two and fewer than `remaining`. */
  forced(remaining: number): readonly number[]
  /** Does the long part of the next `fill`, if it has one, without holding up the event loop. */
  prepareFill(remaining: number): Promise<void>
  /**
   * Sets the bit of each token that may come next.
   * @param words [ceil(V / 32)], all 0
   * @param remaining tokens that may still come, this one included
   * @returns false, and no bits, when all may
   */
  fill(words: Uint32Array, remaining: number): boolean
  /** Takes the next token. @returns false when it is not allowed */
  accept(token: number): boolean
}
