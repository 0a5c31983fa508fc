import type { JsonObject } from '../engine.ts'
import { isObject, parseJsonObject } from '../jsonObject.ts'
import { type CallHead, createCallWriter } from './callWriters.ts'
import {
  type ContentEvent,
  type ItemWriter,
  itemAdded,
  itemDone,
  type Place,
} from './itemWriter.ts'
import type {
  ApplyPatchCallItem,
  LocalShellCallItem,
  OutputItem,
  ResponseEvent,
  ShellCallItem,
} from './responseObject.ts'

/** Tools that OpenAI's API knows by type and the client runs. */
export type ClientTool = 'local_shell' | 'shell' | 'apply_patch'

/**
 * Writes a call of such a tool. Its item is made from the arguments as a whole, so there is nothing to see of it before;
 * what does not make one is a call of a function of that name, with what the model wrote.
 */
export function createClientCallWriter(tool: ClientTool, place: Place, head: CallHead): ItemWriter {
  const asFunction = createCallWriter('function_call', place, head)
  const pieces: ContentEvent[] = []
  let text = ''
  let closed: OutputItem | undefined
  return {
    kind: 'tool_call_delta',
    get item() {
      return closed ?? asFunction.item
    },
    open: () => [],
    add(event) {
      if (event.kind === 'tool_call_delta') text += event.arguments
      pieces.push(event)
      // Kept up to date for a look at a run that is still going on.
      asFunction.add(event)
      return []
    },
    close(how) {
      const input = how === 'completed' ? parseJsonObject(text) : undefined
      const item = input && makeItem[tool](place, head, input)
      if (item !== undefined) {
        closed = item
        return eventsOf(place, item)
      }
      const writer = createCallWriter('function_call', place, head)
      const events = [...writer.open(), ...pieces.flatMap(piece => writer.add(piece))]
      events.push(...writer.close(how))
      closed = writer.item
      return events
    },
  }
}

const makeItem: Record<
  ClientTool,
  (place: Place, head: CallHead, input: JsonObject) => OutputItem | undefined
> = {
  local_shell: localShellCall,
  shell: shellCall,
  apply_patch: applyPatchCall,
}

function localShellCall(
  { item_id: id }: Place,
  { call_id }: CallHead,
  { command, env, timeout_ms, working_directory, user }: JsonObject,
): LocalShellCallItem | undefined {
  if (!isStrings(command)) return undefined
  return {
    id,
    type: 'local_shell_call',
    status: 'completed',
    call_id,
    action: {
      type: 'exec',
      command,
      env: isObject(env) ? env : {},
      timeout_ms: numberOrNull(timeout_ms),
      user: typeof user === 'string' ? user : null,
      working_directory: typeof working_directory === 'string' ? working_directory : null,
    },
  }
}

function shellCall(
  { item_id: id }: Place,
  { call_id }: CallHead,
  { commands, max_output_length, timeout_ms }: JsonObject,
): ShellCallItem | undefined {
  if (!isStrings(commands)) return undefined
  return {
    id,
    type: 'shell_call',
    status: 'completed',
    call_id,
    action: {
      commands,
      max_output_length: numberOrNull(max_output_length),
      timeout_ms: numberOrNull(timeout_ms),
    },
    environment: { type: 'local' },
  }
}

function applyPatchCall(
  { item_id: id }: Place,
  { call_id }: CallHead,
  { type, path, diff }: JsonObject,
): ApplyPatchCallItem | undefined {
  if (typeof path !== 'string') return undefined
  if (type !== 'delete_file' && typeof diff !== 'string') return undefined
  if (type !== 'create_file' && type !== 'update_file' && type !== 'delete_file') return undefined
  return {
    id,
    type: 'apply_patch_call',
    status: 'completed',
    call_id,
    operation: type === 'delete_file' ? { type, path } : { type, path, diff: diff ?? '' },
  }
}

function eventsOf(place: Place, item: OutputItem): ResponseEvent[] {
  if (item.type !== 'shell_call') {
    return [itemAdded(place, { ...item, status: 'in_progress' }), itemDone(place, item)]
  }
  const { output_index } = place
  const begun: ShellCallItem = {
    ...item,
    status: 'in_progress',
    action: { ...item.action, commands: [] },
  }
  const commands = item.action.commands.flatMap((command, command_index) => {
    const at = { output_index, command_index }
    return [
      { type: 'response.shell_call_command.added', ...at, command: '' },
      { type: 'response.shell_call_command.delta', ...at, delta: command },
      { type: 'response.shell_call_command.done', ...at, command },
    ]
  })
  return [itemAdded(place, begun), ...commands, itemDone(place, item)]
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(entry => typeof entry === 'string')
}

function numberOrNull(value: unknown): number | null {
  return typeof value === 'number' ? value : null
}
