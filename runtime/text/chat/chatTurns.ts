import type { ChatMessage, ContentPart } from '../../../edge/engine.ts'
import type { TurnTraits } from './turnTraits.ts'

/** Between the texts of turns that become one. */
const SEPARATOR = '\n\n'

/**
 * Brings the turns of a conversation into what a template takes, without leaving out what it can show: system and user turns
 * that it would drop, move or refuse are merged, and text and calls come apart.
 */
export function toTemplateTurns(messages: ChatMessage[], traits: TurnTraits): ChatMessage[] {
  const turns = fitSystemTurns(messages, traits)
  return !turns.some(followsUser) || traits.severalUserTurns ? turns : mergeUserTurns(turns)
}

function fitSystemTurns(messages: ChatMessage[], traits: TurnTraits): ChatMessage[] {
  const turns = messages
    .flatMap(turn => (hasTextAndCalls(turn) && traits.calls.apart ? splitCalls(turn) : turn))
    .map(turn =>
      turn.role === 'developer' && !traits.developerRole ? { ...turn, role: 'system' } : turn,
    )
  // Traits are only asked for where they matter: finding them out takes time.
  if (!turns.some(isSystem)) return turns
  if (!traits.systemTurn) return mergeLateSystemTurns(turns)
  const numLeading = leadingSystemTurns(turns)
  const leading = turns.slice(0, numLeading)
  const rest = turns.slice(numLeading)
  return [
    ...(leading.length < 2 || traits.severalSystemTurns ? leading : merged(leading)),
    ...(!rest.some(isSystem) || traits.lateSystemTurn ? rest : mergeLateSystemTurns(rest)),
  ]
}

function hasTextAndCalls(turn: ChatMessage): boolean {
  return turn.toolCalls !== undefined && parts(turn).length > 0
}

/** The call after its text. */
function splitCalls({ toolCalls, ...turn }: ChatMessage): ChatMessage[] {
  const { reasoning: _, ...call } = turn
  return [turn, { ...call, content: null, ...(toolCalls && { toolCalls }) }]
}

function isSystem({ role }: ChatMessage): boolean {
  return role === 'system' || role === 'developer'
}

function leadingSystemTurns(turns: ChatMessage[]): number {
  const end = turns.findIndex(turn => !isSystem(turn))
  return end < 0 ? turns.length : end
}

function followsUser({ role }: ChatMessage, i: number, turns: ChatMessage[]): boolean {
  return role === 'user' && turns[i - 1]?.role === 'user'
}

function mergeUserTurns(turns: ChatMessage[]): ChatMessage[] {
  const groups: ChatMessage[][] = []
  for (const turn of turns) {
    const group = groups.at(-1)
    if (turn.role === 'user' && group?.[0]?.role === 'user') group.push(turn)
    else groups.push([turn])
  }
  return groups.flatMap(merged)
}

/** Into the next user turn; where none follows they become one. */
function mergeLateSystemTurns(turns: ChatMessage[]): ChatMessage[] {
  const kept: ChatMessage[] = []
  let pending: ChatMessage[] = []
  for (const turn of turns) {
    if (isSystem(turn)) pending.push(turn)
    else if (pending.length > 0 && turn.role === 'user') {
      kept.push({ ...turn, content: mergedContent([...pending, turn]) })
      pending = []
    } else kept.push(turn)
  }
  return [...kept, ...merged(pending).map(turn => ({ ...turn, role: 'user' }))]
}

/** The first turn with the content of the second after its own. */
export function mergeInto(turn: ChatMessage, next: ChatMessage): ChatMessage {
  return { ...turn, content: mergedContent([turn, next]) }
}

/** The first turn, if there is one, with the content of all. */
function merged(turns: ChatMessage[]): ChatMessage[] {
  const [first] = turns
  if (first === undefined || turns.length === 1) return turns
  return [{ ...first, content: mergedContent(turns) }]
}

/** One pass over them: a request may have a million. */
function mergedContent(turns: readonly ChatMessage[]): ChatMessage['content'] {
  const contents = turns.map(({ content }) => content).filter(content => content?.length)
  const texts = contents.filter(content => typeof content === 'string')
  if (texts.length === contents.length) return texts.join(SEPARATOR)
  const separator = { type: 'text' as const, text: SEPARATOR }
  return turns
    .map(parts)
    .filter(({ length }) => length > 0)
    .flatMap((those, i) => (i === 0 ? those : [separator, ...those]))
}

function parts({ content }: ChatMessage): ContentPart[] {
  if (content === null || content === '') return []
  return typeof content === 'string' ? [{ type: 'text', text: content }] : content
}
