import type { ChatMessage, ContentPart } from '../engine.ts'
import { invalidRequest } from '../errors.ts'
import { isObject } from '../jsonObject.ts'
import { invalidValue } from '../schema.ts'
import { toMediaPart } from './media.ts'

type Block = Record<string, unknown>
type ToolCall = NonNullable<ChatMessage['toolCalls']>[number]

/** Between the texts of one turn: blocks are paragraphs rather than pieces. */
const SEPARATOR = '\n'

/**
 * Turns `system` and `messages` into the engine's turns: consecutive turns of one role are one, tool results become turns
 * of their own, blocks that only Anthropic's servers know are left out.
 * @throws ApiError 400 naming the message and its field
 */
export function toTurns(system: unknown, messages: unknown): ChatMessage[] {
  if (!Array.isArray(messages) || messages.length === 0) {
    throw invalidValue('messages', messages ?? undefined, 'an array of at least one message')
  }
  const turns = new Turns()
  if (system !== undefined && system !== null) turns.add('system', blocksOf(system, 'system'))
  for (const [i, message] of messages.entries()) {
    const at = `messages[${i}]`
    if (!isObject(message)) throw invalidValue(at, message, 'an object')
    const { role, content } = message
    if (role !== 'user' && role !== 'assistant' && role !== 'system') {
      throw invalidValue(`${at}.role`, role ?? undefined, "'user' or 'assistant'")
    }
    const blocks = blocksOf(content ?? undefined, `${at}.content`)
    if (role === 'assistant') turns.addAssistant(blocks)
    else turns.add(role, blocks)
  }
  return turns.list
}

/** A turn in the making. What it is made of is joined once: a request may have a million messages of one role. */
interface Draft {
  role: string
  /** Until there is something that is no text. */
  texts: string[]
  parts?: ContentPart[]
  thoughts: string[]
  calls: ToolCall[]
}

/** Turns in the making, of which those of tools are finished. */
class Turns {
  readonly #list: (Draft | ChatMessage)[] = []

  add(role: 'system' | 'user', blocks: [Block, string][]): void {
    let parts: ContentPart[] = []
    const flush = () => {
      if (parts.length > 0) addParts(this.#draftOf(role), parts)
      parts = []
    }
    for (const [block, at] of blocks) {
      if (block.type === 'tool_result' && role === 'user') {
        flush()
        this.#list.push(toolTurn(block, at))
      } else parts.push(...userParts(block, at))
    }
    flush()
  }

  addAssistant(blocks: [Block, string][]): void {
    const { texts, thoughts, calls } = this.#draftOf('assistant')
    for (const [block, at] of blocks) {
      if (block.type === 'text') texts.push(textOf(block, at))
      else if (block.type === 'thinking') {
        if (typeof block.thinking === 'string') thoughts.push(block.thinking)
      } else if (block.type === 'tool_use') calls.push(toolCall(block, at))
    }
  }

  get list(): ChatMessage[] {
    return this.#list.map(turn => ('texts' in turn ? finished(turn) : turn))
  }

  /** The last turn when it has this role, else a new one. */
  #draftOf(role: string): Draft {
    const last = this.#list.at(-1)
    if (last === undefined || !('texts' in last) || last.role !== role) {
      const draft: Draft = { role, texts: [], thoughts: [], calls: [] }
      this.#list.push(draft)
      return draft
    }
    // A message that said nothing is no paragraph.
    if (last.texts.length === 1 && last.texts[0] === '') last.texts.pop()
    return last
  }
}

function addParts(draft: Draft, parts: ContentPart[]): void {
  const texts = textsOf(parts)
  if (draft.parts === undefined && texts !== undefined) {
    for (const text of texts) draft.texts.push(text)
    return
  }
  if (draft.parts === undefined) {
    const text = draft.texts.join(SEPARATOR)
    draft.parts = text === '' ? [] : [{ type: 'text', text }]
  }
  for (const part of parts) draft.parts.push(part)
}

function finished({ role, texts, parts, thoughts, calls }: Draft): ChatMessage {
  return {
    role,
    content: parts ?? texts.join(SEPARATOR),
    ...(thoughts.length > 0 && { reasoning: thoughts.join(SEPARATOR) }),
    ...(calls.length > 0 && { toolCalls: calls }),
  }
}

function blocksOf(content: unknown, path: string): [Block, string][] {
  if (typeof content === 'string') return [[{ type: 'text', text: content }, path]]
  if (!Array.isArray(content)) {
    throw invalidValue(path, content, 'a string or an array of content blocks')
  }
  return content.map((block: unknown, i) => {
    const at = `${path}[${i}]`
    if (!isObject(block)) throw invalidValue(at, block, 'a content block')
    if (typeof block.type !== 'string') {
      throw invalidValue(`${at}.type`, block.type ?? undefined, 'a string')
    }
    return [block, at]
  })
}

function userParts(block: Block, at: string): ContentPart[] {
  switch (block.type) {
    case 'text':
      return [{ type: 'text', text: textOf(block, at) }]
    case 'image':
      return [toMediaPart('image', block.source, `${at}.source`)]
    case 'document':
      return documentParts(block, at)
    case 'search_result':
      return [{ type: 'text', text: searchResult(block, at) }]
    case 'thinking':
    case 'redacted_thinking':
      return []
    default:
      // What other servers did in earlier turns (`server_tool_use`, `…_tool_result`) is no mistake of this request.
      if (
        /_tool_result$|^server_tool_use$|^container_upload$|^compaction$/.test(String(block.type))
      ) {
        return []
      }
      throw invalidRequest(
        `${at}.type`,
        `Invalid value for '${at}.type': content blocks of type '${block.type}' are not known here.`,
      )
  }
}

function documentParts(block: Block, at: string): ContentPart[] {
  const title = typeof block.title === 'string' ? [`# ${block.title}`] : []
  const { source } = block
  if (!isObject(source)) throw invalidValue(`${at}.source`, source ?? undefined, 'an object')
  if (source.type === 'text') {
    if (typeof source.data !== 'string') {
      throw invalidValue(`${at}.source.data`, source.data ?? undefined, 'a string')
    }
    return [{ type: 'text', text: [...title, source.data].join(SEPARATOR) }]
  }
  if (source.type === 'content') {
    const inner = blocksOf(source.content, `${at}.source.content`)
    return inner.flatMap(([part, path]) => userParts(part, path))
  }
  return [toMediaPart('file', source, `${at}.source`)]
}

function searchResult(block: Block, at: string): string {
  const texts = blocksOf(block.content, `${at}.content`).map(([part, path]) => textOf(part, path))
  return [`${block.title ?? ''} (${block.source ?? ''})`, ...texts].join(SEPARATOR)
}

/** A tool's answer. */
function toolTurn(block: Block, at: string): ChatMessage {
  const { tool_use_id, content, is_error } = block
  if (typeof tool_use_id !== 'string' || tool_use_id === '') {
    throw invalidValue(`${at}.tool_use_id`, tool_use_id ?? undefined, 'the id of a tool_use block')
  }
  const parts = blocksOf(content ?? '', `${at}.content`).flatMap(([part, path]) =>
    userParts(part, path),
  )
  const prefix: ContentPart[] = is_error === true ? [{ type: 'text', text: 'Error:' }] : []
  return { role: 'tool', content: joined([...prefix, ...parts]), toolCallId: tool_use_id }
}

function toolCall(block: Block, at: string): ToolCall {
  const { id, name, input } = block
  if (typeof name !== 'string' || name === '') {
    throw invalidValue(`${at}.name`, name ?? undefined, 'the name of a tool')
  }
  const given = typeof input === 'string' ? input : JSON.stringify(input ?? {})
  return { id: typeof id === 'string' ? id : name, name, arguments: given }
}

function textOf(block: Block, at: string): string {
  if (typeof block.text === 'string') return block.text
  throw invalidValue(`${at}.text`, block.text ?? undefined, 'a string')
}

/** One string when there is nothing but text. */
function joined(parts: ContentPart[]): string | ContentPart[] {
  return textsOf(parts)?.join(SEPARATOR) ?? parts
}

/** Undefined when there is something else. */
function textsOf(parts: ContentPart[]): string[] | undefined {
  const texts = parts.flatMap(part => (part.type === 'text' ? [part.text] : []))
  return texts.length === parts.length ? texts : undefined
}
