import type { Accepted, GenerateEvent } from './engine.ts'

/**
 * Begins a run and calls `onEnd` once: when its events have ended, when it was aborted, or when it was not accepted.
 * @throws what `begin` throws
 */
export async function trackRun(
  begin: () => Promise<Accepted>,
  signal: AbortSignal,
  onEnd: () => void,
): Promise<Accepted> {
  let ended = false
  const end = () => {
    if (ended) return
    ended = true
    signal.removeEventListener('abort', end)
    onEnd()
  }
  // Not left to the events alone: nobody may ever ask for the first one.
  signal.addEventListener('abort', end)
  try {
    const accepted = await begin()
    return { ...accepted, events: trackEvents(accepted.events, end) }
  } catch (error) {
    end()
    throw error
  }
}

function trackEvents(
  events: AsyncIterable<GenerateEvent[]>,
  end: () => void,
): AsyncIterable<GenerateEvent[]> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = events[Symbol.asyncIterator]()
      return {
        async next() {
          try {
            const result = await iterator.next()
            if (result.done) end()
            return result
          } catch (error) {
            end()
            throw error
          }
        },
        async return() {
          end()
          await iterator.return?.()
          return { done: true, value: undefined }
        },
      }
    },
  }
}
