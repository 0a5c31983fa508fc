import {
  type ContentEvent,
  type ItemWriter,
  itemAdded,
  itemDone,
  type Place,
} from './itemWriter.ts'
import type { CustomToolCallItem, FunctionCallItem, ItemStatus } from './responseObject.ts'

/** A call as the client is to see it. */
export interface CallHead {
  call_id: string
  name: string
  /** Of a tool that was declared within a group of tools. */
  namespace?: string
}

/** Writes a call of a function, or of a tool whose input is text: arguments as they come. */
export function createCallWriter(
  type: 'function_call' | 'custom_tool_call',
  place: Place,
  head: CallHead,
): ItemWriter {
  let input = ''
  let status: ItemStatus = 'in_progress'
  const { call_id, name, ...namespace } = head

  const item = (): FunctionCallItem | CustomToolCallItem => {
    const common = { id: place.item_id, status, call_id, name, ...namespace }
    return type === 'function_call'
      ? { ...common, type, arguments: input }
      : { ...common, type, input }
  }

  return {
    kind: 'tool_call_delta',
    get item() {
      return item()
    },
    open: () => [itemAdded(place, item())],
    add(event: ContentEvent) {
      if (event.kind !== 'tool_call_delta' || event.arguments === '') return []
      const delta = event.arguments
      input += delta
      return [
        type === 'function_call'
          ? { type: 'response.function_call_arguments.delta', ...place, delta }
          : { type: 'response.custom_tool_call_input.delta', ...place, delta },
      ]
    },
    close(how) {
      status = how
      return [
        type === 'function_call'
          ? { type: 'response.function_call_arguments.done', ...place, name, arguments: input }
          : { type: 'response.custom_tool_call_input.done', ...place, input },
        itemDone(place, item()),
      ]
    },
  }
}
