import type { AddedToken } from './addedTokens.ts'

/** Control tokens that end a turn or a text, in every model that has them (list as in llama.cpp). */
const endTexts = new Set([
  '<|eot_id|>',
  '<|im_end|>',
  '<|end|>',
  '<|return|>',
  '<|call|>',
  '<end_of_turn>',
  '<|endoftext|>',
  '<|eom_id|>',
  '<EOT>',
  '_<EOT>',
  '[EOT]',
  '[EOS]',
  '<|end_of_text|>',
  '<end_of_utterance>',
  '<eos>',
  '<turn|>',
  '<|tool_response>',
  '<｜end▁of▁sentence｜>',
])

/**
 * Ids that end generation: those a file names, and control tokens known for it by their text, since many files name only
 * one of several.
 */
export function findEndIds(tokens: AddedToken[], named: (number | undefined)[]): number[] {
  const ids = new Set(named.filter(id => id !== undefined))
  const byText = new Map(tokens.filter(t => t.special).map(t => [t.content, t.id]))
  for (const [text, id] of byText) if (endTexts.has(text)) ids.add(id)
  // In gpt-oss's format <|end|> closes one message of several.
  const end = byText.get('<|end|>')
  if (end !== undefined && byText.has('<|return|>') && byText.has('<|call|>')) ids.delete(end)
  return [...ids]
}
