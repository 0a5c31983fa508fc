import type { ResponseStoreLimits } from './responseStoreLimits.ts'

interface Holding {
  numResponses: number
  numBytes: number
}

/** How much of a store each owner holds. */
export class Holdings {
  readonly #limits: ResponseStoreLimits
  readonly #held = new Map<string | undefined, Holding>()
  #numBytes = 0

  constructor(limits: ResponseStoreLimits) {
    this.#limits = limits
  }

  /** Over all owners. */
  get numBytes(): number {
    return this.#numBytes
  }

  /** @param numResponses negative, as `numBytes`, for what goes */
  add(owner: string | undefined, numResponses: number, numBytes: number): void {
    const before = this.#held.get(owner) ?? { numResponses: 0, numBytes: 0 }
    const now = {
      numResponses: before.numResponses + numResponses,
      numBytes: before.numBytes + numBytes,
    }
    this.#numBytes += numBytes
    if (now.numResponses === 0) this.#held.delete(owner)
    else this.#held.set(owner, now)
  }

  /** The owner with the largest share of what there may be, in number or in bytes. */
  ownerOfMost(): string | undefined {
    const { maxResponses, maxBytes } = this.#limits
    let most: { owner: string | undefined; share: number } | undefined
    for (const [owner, { numResponses, numBytes }] of this.#held) {
      const share = Math.max(numResponses / maxResponses, numBytes / maxBytes)
      if (most === undefined || share > most.share) most = { owner, share }
    }
    return most?.owner
  }
}
