import type { LogEntry } from '../../edge/deps.ts'

export type AccessLogFormat = 'text' | 'json'

/** Writes a line when a request begins and one when it has ended. */
export function createAccessLog(
  format: AccessLogFormat,
  write: (line: string) => void,
): (entry: LogEntry) => void {
  return entry => {
    if (entry.event === 'internal_error') return
    const { modelLabel: _, ...fields } = { modelLabel: '', ...entry }
    const time = new Date().toISOString()
    if (format === 'json') write(`${JSON.stringify({ time, ...fields })}\n`)
    else write(`${time}  INFO access: ${textLine(entry)}\n`)
  }
}

type Request = Exclude<LogEntry, { event: 'internal_error' }>

function textLine(entry: Request): string {
  const head = `${entry.method} ${entry.path}`
  if (entry.event === 'request_started') {
    const size = entry.bodyBytes === undefined ? '' : ` bytes=${entry.bodyBytes}`
    return `started ${head}${size} id=${entry.requestId}`
  }
  const told = [
    `status=${entry.status}`,
    `ms=${entry.durationMs.toFixed(1)}`,
    ...(entry.end === 'completed' ? [] : [`end=${entry.end}`]),
    ...(entry.model === undefined ? [] : [`model=${entry.model}`]),
    ...(entry.promptTokens === undefined ? [] : [`prompt_tokens=${entry.promptTokens}`]),
    ...(entry.completionTokens === undefined
      ? []
      : [`completion_tokens=${entry.completionTokens}`]),
    `id=${entry.requestId}`,
  ]
  return `completed ${head} ${told.join(' ')}`
}
