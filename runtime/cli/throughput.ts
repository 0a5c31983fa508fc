import type { LocalEngine } from '../engine/localEngine.ts'
import type { Log } from './log.ts'

const INTERVAL_MS = 10_000

/**
 * Logs tokens per second, cache hits and queue lengths every ten seconds in which something ran.
 * @returns stops it
 */
export function logThroughput(engine: LocalEngine, log: Log): () => void {
  let last = engine.stats()
  const timer = setInterval(() => {
    const now = engine.stats()
    if (now.steps !== last.steps) {
      const rate = (after: number, before: number) =>
        (((after - before) * 1000) / INTERVAL_MS).toFixed(1)
      const prompt = now.promptTokens - last.promptTokens
      const cached = now.cachedTokens - last.cachedTokens
      const hits = prompt > 0 ? Math.round((100 * cached) / prompt) : 0
      log.info(
        `Throughput: ${rate(now.generatedTokens, last.generatedTokens)} tok/s out, ` +
          `${rate(now.promptTokens, last.promptTokens)} tok/s in (${hits} % from the prefix cache), ` +
          `${now.running} running, ${now.waiting} waiting`,
      )
    }
    last = now
  }, INTERVAL_MS)
  timer.unref()
  return () => clearInterval(timer)
}
