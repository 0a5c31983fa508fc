/** The start-up and status lines of the command: timestamp, level, target, message. */

export type LogLevel = 'debug' | 'info' | 'notice' | 'warn' | 'error'

const RANK: Record<LogLevel, number> = { debug: 0, info: 1, notice: 2, warn: 3, error: 4 }

/** `notice` is what a user waits for: shown where `info` is not, and printed like it. */
export type Log = Record<LogLevel, (message: string) => void>

/**
 * Writes lines of `level` and above.
 * @param stream stdout for a server, stderr where stdout carries the answer
 */
export function createLog(level: LogLevel, stream: NodeJS.WritableStream): Log {
  const write = (at: LogLevel) => (message: string) => {
    if (RANK[at] < RANK[level]) return
    const time = new Date().toISOString()
    const shown = at === 'notice' ? 'info' : at
    stream.write(`${time} ${shown.toUpperCase().padStart(5)} mistralrs: ${message}\n`)
  }
  return {
    debug: write('debug'),
    info: write('info'),
    notice: write('notice'),
    warn: write('warn'),
    error: write('error'),
  }
}
