import type { Engine, ModelMetrics } from '../../edge/engine.ts'
import type { Log } from './log.ts'

const INTERVAL_MS = 10_000

/**
 * Logs tokens per second, cache hits and queue lengths of all models every ten seconds in which something ran.
 * @returns stops it
 */
export function logThroughput(engine: Pick<Engine, 'metrics'>, log: Log): () => void {
  let last = sumOf([])
  const timer = setInterval(async () => {
    const now = sumOf(await engine.metrics())
    const rate = (key: 'generatedTokens' | 'promptTokens') =>
      // A model that was unloaded takes its counts along.
      ((Math.max(0, now[key] - last[key]) * 1000) / INTERVAL_MS).toFixed(1)
    const prompt = now.promptTokens - last.promptTokens
    const cached = now.cachedTokens - last.cachedTokens
    if (prompt > 0 || now.generatedTokens > last.generatedTokens) {
      const hits = prompt > 0 ? Math.round((100 * cached) / prompt) : 0
      log.info(
        `Throughput: ${rate('generatedTokens')} tok/s out, ` +
          `${rate('promptTokens')} tok/s in (${hits} % from the prefix cache), ` +
          `${now.running} running, ${now.waiting} waiting`,
      )
    }
    last = now
  }, INTERVAL_MS)
  timer.unref()
  return () => clearInterval(timer)
}

function sumOf(models: ModelMetrics[]) {
  const sum = { generatedTokens: 0, promptTokens: 0, cachedTokens: 0, running: 0, waiting: 0 }
  for (const model of models) {
    for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += model[key]
  }
  return sum
}
