// Loaded into a server before its own code: each SIGUSR2 prints the event loop's delays since the one before.
import { monitorEventLoopDelay } from 'node:perf_hooks'

const histogram = monitorEventLoopDelay({ resolution: 1 })
histogram.enable()
process.on('SIGUSR2', () => {
  const [p99, max] = [histogram.percentile(99), histogram.max].map(ns => (ns / 1e6).toFixed(2))
  process.stdout.write(`loop delay p99 ${p99} ms, max ${max} ms\n`)
  histogram.reset()
})
