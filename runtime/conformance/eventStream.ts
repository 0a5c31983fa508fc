/** One event of a server-sent stream. */
export interface ServerSentEvent {
  /** '' where the event has no name. */
  name: string
  data: string
}

/**
 * Reads a whole stream, with any of the three line ends, comments and fields in any order.
 * Source: HTML standard, section "Interpreting an event stream".
 */
export function parseEventStream(text: string): ServerSentEvent[] {
  const events: ServerSentEvent[] = []
  let name = ''
  let data: string[] = []
  for (const line of text.replace(/^\uFEFF/, '').split(/\r\n|\r|\n/)) {
    if (line === '') {
      if (data.length > 0) events.push({ name, data: data.join('\n') })
      name = ''
      data = []
      continue
    }
    const [, field, value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? []
    if (field === 'event') name = value
    if (field === 'data') data.push(value)
  }
  return events
}
