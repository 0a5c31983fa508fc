import type { ClientEngine } from '../access/clientEngine.ts'
import { EngineError } from '../engine.ts'
import { isOfReading } from '../errors.ts'
import { ResponseRun } from './responseRun.ts'
import type { ResponseStore, StoredResponse } from './responseStore.ts'
import { ToolIndex } from './toolIndex.ts'

/** A run of this response from its beginning, whoever began it. */
export function runOf({ response, include }: StoredResponse): ResponseRun {
  return new ResponseRun(response, {
    reasoning: {
      summary: response.reasoning.summary !== null,
      sealed: include.includes('reasoning.encrypted_content'),
    },
    tools: new ToolIndex(response.tools),
  })
}

/** A response as it was before anything had happened. */
export function atStart(stored: StoredResponse): StoredResponse {
  const { response } = stored
  return {
    ...stored,
    response: {
      ...response,
      status: response.background ? 'queued' : 'in_progress',
      output: [],
      completed_at: null,
      error: null,
      incomplete_details: null,
      usage: null,
    },
  }
}

export function isOver({ response }: StoredResponse): boolean {
  return response.status !== 'queued' && response.status !== 'in_progress'
}

/**
 * Brings a stored response up to date with its run, and keeps it when that has ended. The engine keeps a run's events
 * for some time only, so somebody should ask for the end while it is there.
 * @param extent `now`: as far as the run is; `end`: wait for it
 * @throws EngineError when the engine cannot be asked
 */
export async function refresh(
  stored: StoredResponse,
  extent: 'now' | 'end',
  { engine, signal }: { engine: ClientEngine; signal?: AbortSignal },
  store: ResponseStore,
): Promise<StoredResponse> {
  if (isOver(stored)) return stored
  const { id } = stored.response
  const run = runOf(stored)
  const reading = new AbortController()
  const signals = signal === undefined ? [] : [signal]
  try {
    const { lastSeq = -1, events } = await engine.attach(
      id,
      -1,
      AbortSignal.any([reading.signal, ...signals]),
    )
    const last = extent === 'end' ? Infinity : lastSeq
    if (last >= 0) {
      for await (const batch of events) {
        for (const event of batch) {
          if (event.kind === 'error' && isOfReading(event.error)) throw new EngineError(event.error)
          run.take(event)
        }
        if ((batch.at(-1)?.seq ?? 0) >= last) break
      }
    }
  } catch (error) {
    if (!(error instanceof EngineError) || error.kind !== 'job_not_found') throw error
    run.fail({ kind: 'unavailable', message: 'The server lost the run of this response.' })
  } finally {
    // A container holds a stream open for whoever has taken no event of it.
    reading.abort()
  }
  const now = { ...stored, response: run.response }
  if (run.end !== undefined) await replace(now, store)
  return now
}

/** Keeps what has become of a response, unless somebody has deleted it meanwhile. */
export async function replace(stored: StoredResponse, store: ResponseStore): Promise<void> {
  const there = await store.get(stored.response.id, stored.owner)
  if (there !== undefined) await store.put(stored)
}
