/** Aborts when another signal does, too. Unlike an `AbortSignal.any` it can be let go of: the other lives longer, perhaps. */
export class FollowingController extends AbortController {
  readonly #leader: AbortSignal | undefined

  constructor(leader: AbortSignal | undefined) {
    super()
    this.#leader = leader
    if (leader?.aborted) this.abort(leader.reason)
    else leader?.addEventListener('abort', this)
  }

  /** The listener of the leader. */
  handleEvent(): void {
    this.abort(this.#leader?.reason)
  }

  override abort(reason?: unknown): void {
    this.release()
    super.abort(reason)
  }

  /** Follows no longer: what it was for has ended. */
  release(): void {
    this.#leader?.removeEventListener('abort', this)
  }
}
