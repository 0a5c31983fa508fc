import type { Tokenizer } from './tokenizer.ts'

/**
 * Tokens that hold one of the texts; for a text that no single token holds, the last of those that spell it.
 * @returns ids in order, each once
 */
export function breakerTokens(
  tokenizer: Pick<Tokenizer, 'pieces' | 'encode'>,
  texts: readonly string[],
): Int32Array {
  const { bytes, offsets, flags } = tokenizer.pieces
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const found = new Set<number>()
  for (const text of new Set(texts)) {
    const wanted = Buffer.from(text)
    let isHeld = false
    let id = 0
    // One search over the bytes of all tokens; matches that reach into the next token do not count.
    for (let at = all.indexOf(wanted); at >= 0; ) {
      while (id + 1 < flags.length && (offsets[id + 1] ?? 0) <= at) id++
      const end = offsets[id + 1] ?? 0
      const isInside = at + wanted.length <= end
      if (isInside) {
        found.add(id)
        isHeld = true
      }
      at = all.indexOf(wanted, isInside ? end : at + 1)
    }
    const last = isHeld ? undefined : tokenizer.encode(text, { addSpecialTokens: false }).at(-1)
    if (last !== undefined) found.add(last)
  }
  return Int32Array.from(found).sort()
}
