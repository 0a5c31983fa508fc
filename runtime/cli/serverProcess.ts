import type { Log } from './log.ts'

/** How long running streams may go on after SIGTERM; orchestrators usually kill after 30 s. */
export const DRAIN_MS = 25_000
/** Then the last bytes of answers have this long to leave. */
export const CLOSE_MS = 1000
/** A new process may go on where this one cannot: its device or text worker is lost to it (EX_TEMPFAIL of sysexits.h). */
export const EXIT_LOST = 75
/** A terminal signals every process of a command, and npm and our own scripts pass on what they get: one signal, twice. */
const SAME_SIGNAL_MS = 100

/** Resolves at the first SIGINT or SIGTERM; a second one ends the process at once. */
export function shutdownSignal(log: Log): Promise<undefined> {
  return new Promise(resolve => {
    let firstMs = Number.NaN
    const codes = { SIGINT: 130, SIGTERM: 143 } as const
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        if (performance.now() - firstMs < SAME_SIGNAL_MS) return
        if (!Number.isNaN(firstMs)) process.exit(codes[signal])
        firstMs = performance.now()
        log.debug(`got ${signal}`)
        resolve(undefined)
      })
    }
  })
}

/** Silence on a client's stream after which a comment is sent, from the environment. */
export function keepAliveMs(log: Log): number {
  const fallback = 10_000
  const text = process.env.KEEP_ALIVE_INTERVAL
  if (text === undefined) return fallback
  const value = Number(text)
  if (Number.isInteger(value) && value > 0) return value
  log.warn(`KEEP_ALIVE_INTERVAL=${text} is not a number of milliseconds; using ${fallback}`)
  return fallback
}

export function describeFailure(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d+){3}$/.test(host)
}

/** An address as it stands in a URL. */
export function urlHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
