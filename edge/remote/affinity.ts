import type { GenerateJob } from '../engine.ts'

/** Enough of a conversation to tell it from others, and little enough to be there from its first turn. */
const KEY_CHARACTERS = 1024
const KEY_MESSAGES = 2

/**
 * What requests that share a long prefix have in common: the beginning of the prompt. A conversation grows at its end, so
 * all its turns have the same key, which brings them to the prefix cache that knows it.
 */
export function affinityKey({ model, prompt, cacheSalt }: GenerateJob): string {
  const start =
    prompt.kind === 'chat' ? prompt.messages.slice(0, KEY_MESSAGES) : prompt.prompts.slice(0, 1)
  const parts = start.map(part => {
    if (typeof part === 'string') return part.slice(0, KEY_CHARACTERS)
    if (Array.isArray(part)) return part.slice(0, KEY_CHARACTERS).join(' ')
    const { role, content } = part
    const text = typeof content === 'string' ? content : JSON.stringify(content)
    return `${role}:${text.slice(0, KEY_CHARACTERS)}`
  })
  return [model, cacheSalt ?? '', ...parts].join('\n')
}

/**
 * Orders names by preference for a key: evenly spread, and when a name comes or goes only the keys it wins move.
 * Source: Thaler and Ravishankar, A Name-Based Mapping Scheme for Rendezvous (1996).
 */
export function rendezvousOrder<T extends { name: string }>(key: string, items: T[]): T[] {
  const scored = items.map(item => ({ item, score: mix(fnv1a(item.name, fnv1a(key))) }))
  return scored.sort((a, b) => b.score - a.score).map(({ item }) => item)
}

/** FNV-1a over UTF-16 units. */
function fnv1a(text: string, seed = 0x811c9dc5): number {
  let hash = seed
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}

/** Names that differ in their last letter only would rank alike without it (the finalizer of MurmurHash3). */
function mix(hash: number): number {
  let h = hash
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
