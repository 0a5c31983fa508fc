/** The start-up and status lines of the command: timestamp, level, target, message. */

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

const RANK: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 }

export interface Log {
  debug(message: string): void
  info(message: string): void
  warn(message: string): void
  error(message: string): void
}

/**
 * Writes lines of `level` and above.
 * @param stream stdout for a server, stderr where stdout carries the answer
 */
export function createLog(level: LogLevel, stream: NodeJS.WritableStream): Log {
  const write = (at: LogLevel) => (message: string) => {
    if (RANK[at] < RANK[level]) return
    const time = new Date().toISOString()
    stream.write(`${time} ${at.toUpperCase().padStart(5)} mistralrs: ${message}\n`)
  }
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
}
