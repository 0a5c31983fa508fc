import type { Accepted, GenerateEvent } from '../engine.ts'
import { trackRun } from '../remote/trackedRun.ts'
import type { KeyLimits } from './keyLimits.ts'

export interface Metering {
  limits: KeyLimits
  clock: () => number
  begin: () => Promise<Accepted>
  /** Reads a job that outlives its reader. */
  attach: ((jobId: string) => Promise<Accepted>) | undefined
}

/**
 * Begins a run that counts against a key: its prompt when it is accepted, its answer as it comes, and at the end what `usage`
 * says. Of a run that breaks off it is what was seen: a token for each piece of text.
 * @throws ApiError 429, and what `begin` throws
 */
export async function meterRun(
  { limits, clock, begin, attach }: Metering,
  signal: AbortSignal,
): Promise<Accepted> {
  limits.begin(clock())
  const accepted = await trackRun(begin(), signal, () => limits.end())
  limits.spendTokens(accepted.promptTokens, clock())
  const spend = (amount: number) => limits.spendTokens(amount, clock())
  if (attach === undefined) return { ...accepted, events: meterEvents(accepted.events, spend) }
  meterDetached(attach(accepted.jobId), spend)
  return accepted
}

async function meterDetached(
  reading: Promise<Accepted>,
  spend: (amount: number) => void,
): Promise<void> {
  try {
    for await (const _ of meterEvents((await reading).events, spend)) {
      // Its cost is all that counts here.
    }
  } catch {
    // A job that can no longer be read makes no more tokens that anybody gets.
  }
}

async function* meterEvents(
  events: AsyncIterable<GenerateEvent[]>,
  spend: (amount: number) => void,
): AsyncGenerator<GenerateEvent[]> {
  let numSpent = 0
  for await (const batch of events) {
    let numTokens = numSpent
    for (const event of batch) {
      if (event.kind === 'usage') numTokens = event.completionTokens
      else if (pieces.has(event.kind)) numTokens++
    }
    spend(numTokens - numSpent)
    numSpent = numTokens
    yield batch
  }
}

const pieces: ReadonlySet<GenerateEvent['kind']> = new Set(['text', 'reasoning', 'tool_call_delta'])
