/** Ids before the text in front of a gap, before the text behind it, and before what fills it. */
export interface FimTokens {
  prefix: number
  suffix: number
  middle: number
}

/** Tokens of a prompt beside what is before and after the gap. */
export const numFimTokens = 3

/** Texts of prefix, suffix and middle token, as model families call them. */
const names = [
  // Qwen, CodeGemma
  ['<|fim_prefix|>', '<|fim_suffix|>', '<|fim_middle|>'],
  // StarCoder, Granite
  ['<fim_prefix>', '<fim_suffix>', '<fim_middle>'],
  ['<fim-prefix>', '<fim-suffix>', '<fim-middle>'],
  // DeepSeek calls what comes before the suffix the hole.
  ['<｜fim▁begin｜>', '<｜fim▁hole｜>', '<｜fim▁end｜>'],
  // CodeLlama
  ['▁<PRE>', '▁<SUF>', '▁<MID>'],
  // GLM
  ['<|code_prefix|>', '<|code_suffix|>', '<|code_middle|>'],
] as const

/** GGUF's keys for the same, the newer ones first. Source: llama.cpp's gguf constants. */
const ggufKeys = [
  ['fim_pre', 'fim_suf', 'fim_mid'],
  ['prefix', 'suffix', 'middle'],
] as const

/**
 * The fill-in-the-middle tokens of a model, undefined for a model without.
 * @param tokenId id of a token by its text
 * @param metadata of a GGUF file, which may name the ids
 */
export function findFimTokens(
  tokenId: (content: string) => number | undefined,
  metadata?: ReadonlyMap<string, unknown>,
): FimTokens | undefined {
  const named = ggufKeys.map(keys =>
    keys.map(key => {
      const id = metadata?.get(`tokenizer.ggml.${key}_token_id`)
      return typeof id === 'number' ? id : undefined
    }),
  )
  for (const [prefix, suffix, middle] of [...named, ...names.map(texts => texts.map(tokenId))]) {
    if (prefix !== undefined && suffix !== undefined && middle !== undefined) {
      return { prefix, suffix, middle }
    }
  }
  return undefined
}

/** @param bos begins a text: where `before` does so, it comes first */
export function toFimPrompt(
  { prefix, suffix, middle }: FimTokens,
  before: Int32Array,
  after: Int32Array,
  bos: number | undefined,
): Int32Array {
  const numBos = before[0] === bos ? 1 : 0
  const [head, rest] = [before.subarray(0, numBos), before.subarray(numBos)]
  return Int32Array.from([...head, prefix, ...rest, suffix, ...after, middle])
}
