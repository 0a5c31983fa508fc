import type { Accepted, GenerateEvent } from '../engine.ts'
import { isOfReading } from '../errors.ts'

export interface Metering {
  clock: () => number
  /** What has been used; negative to give some back. */
  spendTokens(amount: number): void
  /** Called once. */
  onEnd(run: MeteredRun): void
}

/** A job that has said nothing for so long is worth asking for, and not more often than that. */
const SILENT_MS = 1000

const pieces: ReadonlySet<GenerateEvent['kind']> = new Set(['text', 'reasoning', 'tool_call_delta'])

/**
 * One request that counts against a key. It holds a place among those that run at once until somebody sees its job end, and
 * what its job makes counts as soon as somebody reads it, once however many do: the prompt when it is accepted, a token for
 * each piece of text, and at the end what `usage` says.
 */
export class MeteredRun {
  readonly #requestId: string
  readonly #metering: Metering
  /** Undefined until it is accepted. */
  #jobId: string | undefined
  #isDetached = false
  #lastSeq = -1
  #numTokens = 0
  #heardMs = 0
  #hasEnded = false

  constructor(requestId: string, metering: Metering) {
    this.#requestId = requestId
    this.#metering = metering
  }

  accept({ jobId, promptTokens }: Accepted, isDetached: boolean): void {
    this.#jobId = jobId
    this.#isDetached = isDetached
    this.#heardMs = this.#metering.clock()
    this.#metering.spendTokens(promptTokens)
  }

  end(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#metering.onEnd(this)
  }

  /** Whether this is the job of the id, accepted. */
  isJob(id: string): boolean {
    return id === this.#jobId
  }

  /** Whether `Engine.cancel` ends its job, once accepted, by this id: also that of the request, which the client may choose. */
  isNamed(id: string): boolean {
    return this.#jobId !== undefined && (id === this.#jobId || id === this.#requestId)
  }

  /** Whether its job, which needs no reader, may have ended unseen. */
  isSilent(nowMs: number): boolean {
    // A clock that was set back must not make it heard for an hour.
    return this.#isDetached && Math.abs(nowMs - this.#heardMs) >= SILENT_MS
  }

  /** The same events, counted on the way. The place is free before the reader knows of the end, who may go on at once. */
  async *read(events: AsyncIterable<GenerateEvent[]>): AsyncGenerator<GenerateEvent[]> {
    for await (const batch of events) {
      this.#count(batch)
      yield batch
    }
  }

  /**
   * Counts what a job that needs no reader has made by now. One that is unknown or that cannot be asked for has ended: it is
   * lost with its engine.
   * @param attach reads the job after an event
   */
  async ask(attach: (jobId: string, after: number) => Promise<Accepted>): Promise<void> {
    if (this.#jobId === undefined || !this.#isDetached) return
    this.#heardMs = this.#metering.clock()
    try {
      const { lastSeq = -1, events } = await attach(this.#jobId, this.#lastSeq)
      if (lastSeq <= this.#lastSeq) return
      for await (const batch of this.read(events)) {
        if (batch.some(({ kind }) => kind === 'error')) this.end()
        if (this.#hasEnded || this.#lastSeq >= lastSeq) return
      }
    } catch {
      this.end()
    }
  }

  #count(batch: GenerateEvent[]): void {
    this.#heardMs = this.#metering.clock()
    let numTokens = this.#numTokens
    for (const event of batch) {
      if (event.kind === 'error' && this.#isDetached && isOfReading(event.error)) {
        this.#heardMs = -Infinity
        break
      }
      if (event.seq <= this.#lastSeq) continue
      this.#lastSeq = event.seq
      if (event.kind === 'usage') numTokens = event.completionTokens
      else if (pieces.has(event.kind)) numTokens++
      if (event.kind === 'usage' || event.kind === 'error') this.end()
    }
    this.#metering.spendTokens(numTokens - this.#numTokens)
    this.#numTokens = numTokens
  }
}
