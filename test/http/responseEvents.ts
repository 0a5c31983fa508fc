export interface ResponseEvent {
  type: string
  sequence_number: number
  [field: string]: unknown
}

/**
 * Reads a Responses stream, and checks what holds for all: names beside data, numbers without gaps.
 * @param first number that the first event should have
 */
export function responseEvents(body: string, first = 0) {
  const done = body.endsWith('data: [DONE]\n\n')
  const frames = body.split('\n\n').filter(frame => frame.startsWith('event: '))
  const events = frames.map((frame, i): ResponseEvent => {
    const [, name, data = ''] = /^event: (.*)\ndata: (.*)$/.exec(frame) ?? []
    const event = JSON.parse(data) as ResponseEvent
    if (event.type !== name || event.sequence_number !== first + i) {
      throw new Error(`event ${first + i} is ${frame}`)
    }
    return event
  })
  return { events, done }
}
