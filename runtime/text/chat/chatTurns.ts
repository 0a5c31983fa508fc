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
    ...(leading.length < 2 || traits.severalSystemTurns ? leading : [leading.reduce(mergeInto)]),
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
  const merged: ChatMessage[] = []
  for (const turn of turns) {
    const before = merged.at(-1)
    if (before?.role === 'user' && turn.role === 'user')
      merged.splice(-1, 1, mergeInto(before, turn))
    else merged.push(turn)
  }
  return merged
}

/** Into the next user turn; where none follows they become one. */
function mergeLateSystemTurns(turns: ChatMessage[]): ChatMessage[] {
  const merged: ChatMessage[] = []
  let pending: ChatMessage | undefined
  for (const turn of turns) {
    if (isSystem(turn)) {
      pending = pending ? mergeInto(pending, turn) : { ...turn, role: 'user' }
    } else if (pending !== undefined && turn.role === 'user') {
      merged.push({ ...turn, content: mergeInto(pending, turn).content })
      pending = undefined
    } else merged.push(turn)
  }
  return pending === undefined ? merged : [...merged, pending]
}

/** The first turn with the content of the second after its own. */
export function mergeInto(turn: ChatMessage, next: ChatMessage): ChatMessage {
  if (parts(turn).length === 0) return { ...turn, content: next.content }
  if (parts(next).length === 0) return turn
  const content =
    typeof turn.content === 'string' && typeof next.content === 'string'
      ? turn.content + SEPARATOR + next.content
      : [...parts(turn), { type: 'text' as const, text: SEPARATOR }, ...parts(next)]
  return { ...turn, content }
}

function parts({ content }: ChatMessage): ContentPart[] {
  if (content === null || content === '') return []
  return typeof content === 'string' ? [{ type: 'text', text: content }] : content
}
