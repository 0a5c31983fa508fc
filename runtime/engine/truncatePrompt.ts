import type { ChatMessage, ChatPrompt } from '../../edge/engine.ts'

/**
 * Drops turns from the front of a conversation until it fits: first earlier exchanges, then, inside the last one, earlier rounds
 * of calls, then the system turns, and at last tokens.
 * @param maxTokens most ids of the result
 * @param bos begins every text, and stays
 * @param encode ids of the conversation with these messages
 */
export async function truncateChat(
  { messages }: ChatPrompt,
  maxTokens: number,
  bos: number | undefined,
  encode: (messages: ChatMessage[]) => Promise<Int32Array>,
): Promise<Int32Array> {
  const { system, units } = divide(messages)
  // Every unit but the last may go, and the system turns at the end of that.
  const candidate = (dropped: number) => [
    ...(dropped < units.length ? system : []),
    ...kept(units, dropped),
  ]
  let low = 0
  let high = system.length > 0 ? units.length : units.length - 1
  let best = await encode(units.length > 0 ? candidate(high) : messages)
  // What a further unit costs is more tokens: the first candidate that fits is between the two.
  while (low < high) {
    const middle = (low + high) >> 1
    const ids = await encode(candidate(middle))
    if (ids.length > maxTokens) low = middle + 1
    else {
      best = ids
      high = middle
    }
  }
  return truncateIds(best, maxTokens, bos)
}

/** The last ids, and the first too if it begins every text. */
export function truncateIds(
  ids: Int32Array,
  maxTokens: number,
  bos: number | undefined,
): Int32Array {
  if (ids.length <= maxTokens) return ids
  const tail = ids.subarray(ids.length - maxTokens)
  if (bos === undefined || ids[0] !== bos || maxTokens <= 1) return tail
  const kept = tail.slice()
  kept[0] = bos
  return kept
}

/** What is farthest from a gap goes: the beginning of the text before it, then the end of that after it. */
export function truncateAroundGap(
  before: Int32Array,
  after: Int32Array,
  maxTokens: number,
  bos: number | undefined,
): { before: Int32Array; after: Int32Array } {
  const kept = truncateIds(before, Math.max(0, maxTokens - after.length), bos)
  return { before: kept, after: after.subarray(0, Math.max(0, maxTokens - kept.length)) }
}

/** What goes together: an exchange that has been answered, or one round of calls and results. */
interface Unit {
  messages: ChatMessage[]
  /** It holds the question that is being answered. */
  stays: boolean
}

function divide(messages: ChatMessage[]): { system: ChatMessage[]; units: Unit[] } {
  const numSystem = messages.findIndex(({ role }) => role !== 'system' && role !== 'developer')
  const system = messages.slice(0, Math.max(0, numSystem))
  const lastUser = messages.findLastIndex(({ role }) => role === 'user')
  const units: Unit[] = []
  for (const [i, message] of messages.slice(system.length).entries()) {
    const index = i + system.length
    const stays = index === lastUser
    const begins = message.role === 'user' || (index > lastUser && message.role === 'assistant')
    const current = units.at(-1)
    if (current === undefined || begins || current.stays) units.push({ messages: [message], stays })
    else current.messages.push(message)
  }
  return { system, units }
}

/** Without the first units that may go: neither the question nor what came last. */
function kept(units: Unit[], numDropped: number): ChatMessage[] {
  const last = units.at(-1)
  let left = numDropped
  return units
    .filter(unit => unit.stays || unit === last || left-- <= 0)
    .flatMap(({ messages }) => messages)
}
