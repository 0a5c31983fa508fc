import type { GenerateEvent } from '../engine.ts'
import type { OutputItem, ResponseEvent } from './responseObject.ts'

/** An event that adds to an item. */
export type ContentEvent = Extract<
  GenerateEvent,
  { kind: 'text' | 'reasoning' | 'tool_call_delta' }
>

/** Where an item is: what every event about it says. */
export interface Place {
  item_id: string
  output_index: number
}

/** Writes one item of the output, piece by piece. */
export interface ItemWriter {
  /** The item as it stands. */
  readonly item: OutputItem
  readonly kind: ContentEvent['kind']
  open(): ResponseEvent[]
  add(event: ContentEvent): ResponseEvent[]
  /** @param status `incomplete` when the run was cut off within the item */
  close(status: 'completed' | 'incomplete'): ResponseEvent[]
}

export function itemAdded({ output_index }: Place, item: OutputItem): ResponseEvent {
  return { type: 'response.output_item.added', output_index, item }
}

export function itemDone({ output_index }: Place, item: OutputItem): ResponseEvent {
  return { type: 'response.output_item.done', output_index, item }
}
