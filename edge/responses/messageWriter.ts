import type { TokenLogprob } from '../engine.ts'
import {
  type ContentEvent,
  type ItemWriter,
  itemAdded,
  itemDone,
  type Place,
} from './itemWriter.ts'
import type { ItemStatus, MessageItem, OutputTextPart, TextLogprob } from './responseObject.ts'

/** Writes visible text: a message of one part. */
export function createMessageWriter(place: Place): ItemWriter {
  const content = { ...place, content_index: 0 }
  const logprobs: TextLogprob[] = []
  let text = ''
  let status: ItemStatus = 'in_progress'

  const part = (): OutputTextPart => ({
    type: 'output_text',
    text,
    annotations: [],
    logprobs: [...logprobs],
  })
  const item = (parts: OutputTextPart[]): MessageItem => ({
    id: place.item_id,
    type: 'message',
    status,
    role: 'assistant',
    content: parts,
  })

  return {
    kind: 'text',
    get item() {
      return item([part()])
    },
    open: () => [
      itemAdded(place, item([])),
      { type: 'response.content_part.added', ...content, part: part() },
    ],
    add(event: ContentEvent) {
      if (event.kind !== 'text') return []
      const added = (event.logprobs ?? []).map(toTextLogprob)
      text += event.text
      logprobs.push(...added)
      const delta = { ...content, delta: event.text, logprobs: added }
      return [{ type: 'response.output_text.delta', ...delta }]
    },
    close(how) {
      status = how
      return [
        { type: 'response.output_text.done', ...content, text, logprobs: [...logprobs] },
        { type: 'response.content_part.done', ...content, part: part() },
        itemDone(place, item([part()])),
      ]
    },
  }
}

/** Stands for minus infinity. */
const NO_LOGPROB = -9999

function toTextLogprob({ token, logprob, bytes, top }: TokenLogprob): TextLogprob {
  return {
    token,
    logprob: logprob ?? NO_LOGPROB,
    bytes,
    top_logprobs: top.map(({ token, logprob, bytes }) => ({ token, logprob, bytes })),
  }
}
