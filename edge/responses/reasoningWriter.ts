import {
  type ContentEvent,
  type ItemWriter,
  itemAdded,
  itemDone,
  type Place,
} from './itemWriter.ts'
import { sealReasoning } from './reasoningSeal.ts'
import type { ItemStatus, ReasoningItem, ResponseEvent } from './responseObject.ts'

export interface ReasoningFormat {
  /** The request asked for a summary. No model here writes one: it is the reasoning itself. */
  summary: boolean
  /** The request asked for `reasoning.encrypted_content`. */
  sealed: boolean
}

/** Writes a block of reasoning. */
export function createReasoningWriter(place: Place, format: ReasoningFormat): ItemWriter {
  const content = { ...place, content_index: 0 }
  const summary = { ...place, summary_index: 0 }
  let text = ''
  let status: ItemStatus = 'in_progress'

  const contentPart = () => ({ type: 'reasoning_text' as const, text })
  const summaryPart = () => ({ type: 'summary_text' as const, text })
  const empty = (): ReasoningItem => ({
    id: place.item_id,
    type: 'reasoning',
    status,
    summary: [],
    content: [],
  })
  const item = (): ReasoningItem => ({
    ...empty(),
    summary: format.summary ? [summaryPart()] : [],
    content: [contentPart()],
    ...(format.sealed && { encrypted_content: sealReasoning(text) }),
  })
  const ifSummary = (event: ResponseEvent) => (format.summary ? [event] : [])

  return {
    kind: 'reasoning',
    get item() {
      return item()
    },
    open: () => [
      itemAdded(place, empty()),
      ...ifSummary({
        type: 'response.reasoning_summary_part.added',
        ...summary,
        part: summaryPart(),
      }),
      { type: 'response.content_part.added', ...content, part: contentPart() },
    ],
    add(event: ContentEvent) {
      if (event.kind !== 'reasoning') return []
      const delta = event.text
      text += delta
      return [
        { type: 'response.reasoning_text.delta', ...content, delta },
        ...ifSummary({ type: 'response.reasoning_summary_text.delta', ...summary, delta }),
      ]
    },
    close(how) {
      status = how
      return [
        { type: 'response.reasoning_text.done', ...content, text },
        { type: 'response.content_part.done', ...content, part: contentPart() },
        ...ifSummary({ type: 'response.reasoning_summary_text.done', ...summary, text }),
        ...ifSummary({
          type: 'response.reasoning_summary_part.done',
          ...summary,
          part: summaryPart(),
        }),
        itemDone(place, item()),
      ]
    },
  }
}
