import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { LogEntry, Measurement } from '../../edge/deps.ts'

const durationBuckets = [
  0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200,
]
/** Those of vLLM, so that its dashboards fit. */
const firstTokenBuckets = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
  160, 640, 2560,
]
const gapBuckets = [
  0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
]
const byteBuckets = [100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 50_000_000]

/** Over HTTP/2 a method may be any word, and each would be kept for good. */
const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'])

/** What the edge tells while it serves. */
export interface HttpMetrics {
  log(entry: LogEntry): void
  measure(measurement: Measurement): void
}

/** Adds metrics of requests and streams to a registry, under the names of mistral.rs. */
export function registerHttpMetrics(registry: Registry): HttpMetrics {
  const registers = [registry]
  const labelNames = ['method', 'path', 'model', 'status']
  const requests = new Counter({
    name: 'http_requests_total',
    help: 'Requests answered',
    labelNames,
    registers,
  })
  const durations = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Seconds to the last byte, of streams too',
    labelNames,
    buckets: durationBuckets,
    registers,
  })
  const inFlight = new Gauge({
    name: 'http_requests_in_flight',
    help: 'Requests being answered',
    labelNames: ['method', 'path'],
    registers,
  })
  const bodies = new Histogram({
    name: 'http_request_body_bytes',
    help: 'Size of request bodies, where it is declared',
    labelNames: ['method', 'path'],
    buckets: byteBuckets,
    registers,
  })
  const firstTokens = new Histogram({
    name: 'mistralrs_time_to_first_token_seconds',
    help: 'Seconds from a streaming request to its first token',
    labelNames: ['model'],
    buckets: firstTokenBuckets,
    registers,
  })
  const gaps = new Histogram({
    name: 'mistralrs_inter_token_latency_seconds',
    help: 'Seconds between the steps of a stream',
    labelNames: ['model'],
    buckets: gapBuckets,
    registers,
  })

  return {
    log(entry) {
      if (entry.event === 'internal_error') return
      const { route: path } = entry
      const method = methods.has(entry.method) ? entry.method : 'OTHER'
      if (entry.event === 'request_started') {
        inFlight.inc({ method, path })
        if (entry.bodyBytes !== undefined) bodies.observe({ method, path }, entry.bodyBytes)
        return
      }
      inFlight.dec({ method, path })
      const labels = { method, path, model: entry.modelLabel, status: String(entry.status) }
      requests.inc(labels)
      durations.observe(labels, entry.durationMs / 1000)
    },
    measure({ kind, model, ms }) {
      const histogram = kind === 'first_token' ? firstTokens : gaps
      histogram.observe({ model }, ms / 1000)
    },
  }
}
