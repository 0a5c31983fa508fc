import { Counter, collectDefaultMetrics, Gauge, type Registry } from 'prom-client'
import type { Engine, ModelMetrics } from '../../edge/engine.ts'

type Count =
  | 'promptTokens'
  | 'generatedTokens'
  | 'prefixLookups'
  | 'prefixHits'
  | 'prefixEvictions'
  | 'preemptions'
type State = 'running' | 'waiting' | 'capacity' | 'kvPagesUsed' | 'kvPagesTotal'

const counts: { name: string; help: string; of: Count }[] = [
  {
    name: 'prefix_cache_lookups_total',
    help: 'Prompts looked up in the prefix cache',
    of: 'prefixLookups',
  },
  { name: 'prefix_cache_hits_total', help: 'Prompts that found a prefix there', of: 'prefixHits' },
  {
    name: 'prefix_cache_evictions_total',
    help: 'Cached pages that gave way',
    of: 'prefixEvictions',
  },
  {
    name: 'paged_preemptions_total',
    help: 'Sequences that lost their pages to others',
    of: 'preemptions',
  },
]

const states: { name: string; help: string; of: State }[] = [
  { name: 'sequences_running', help: 'Sequences in the current steps', of: 'running' },
  { name: 'sequences_waiting', help: 'Sequences waiting for a place', of: 'waiting' },
  { name: 'sequences_capacity', help: 'Sequences that can run at once', of: 'capacity' },
  {
    name: 'kv_cache_blocks_used',
    help: 'Pages of the KV cache held by sequences',
    of: 'kvPagesUsed',
  },
  { name: 'kv_cache_blocks_total', help: 'Pages of the KV cache', of: 'kvPagesTotal' },
]

/**
 * Adds what an engine counts to a registry, under the names of mistral.rs, and what the process does; several containers with
 * one model are one.
 * @returns all of the registry as text, once the engine has been asked
 */
export function registerEngineMetrics(
  registry: Registry,
  engine: Pick<Engine, 'metrics'>,
): () => Promise<string> {
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const counter = (name: string, help: string, labels: string[] = []) =>
    new Counter({ name: `mistralrs_${name}`, help, labelNames: ['model', ...labels], registers })
  const gauges = states.map(({ name, help, of }) => ({
    of,
    metric: new Gauge({ name: `mistralrs_${name}`, help, labelNames: ['model'], registers }),
  }))
  const counters = counts.map(({ name, help, of }) => ({ of, metric: counter(name, help) }))
  const completed = counter('sequences_completed_total', 'Sequences by how they ended', ['reason'])
  const rejected = counter('sequences_rejected_total', 'Jobs refused, by why', ['reason'])
  const tokens = counter('tokens_processed_total', 'Tokens of prompts and answers', ['kind'])

  return async () => {
    const models = byModel(await engine.metrics().catch(() => []))
    for (const { metric } of [...gauges, ...counters]) metric.reset()
    for (const metric of [completed, rejected, tokens]) metric.reset()
    for (const [model, all] of models) {
      const sum = (of: Count | State) => all.reduce((n, one) => n + one[of], 0)
      for (const { of, metric } of gauges) metric.set({ model }, sum(of))
      for (const { of, metric } of counters) metric.inc({ model }, sum(of))
      tokens.inc({ model, kind: 'prompt' }, sum('promptTokens'))
      tokens.inc({ model, kind: 'completion' }, sum('generatedTokens'))
      for (const one of all) {
        for (const [reason, n] of Object.entries(one.completed)) completed.inc({ model, reason }, n)
        for (const [reason, n] of Object.entries(one.rejected)) rejected.inc({ model, reason }, n)
      }
    }
    return registry.metrics()
  }
}

function byModel(metrics: ModelMetrics[]): Map<string, ModelMetrics[]> {
  return Map.groupBy(metrics, ({ model }) => model)
}
