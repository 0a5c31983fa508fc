import { z } from 'zod'
import { FileFormatError } from '../weights/fileFormatError.ts'
import type { GgufFile } from '../weights/gguf.ts'
import { GgufStrings } from '../weights/ggufStrings.ts'
import { maxConfigBytes, readOptionalModelFile } from '../weights/modelFile.ts'

/** What a model's own files say about generating with it; a field left out says nothing. */
export interface GenerationDefaults {
  /** Tokens that end generation. */
  eosTokenIds: number[]
  /** False asks for greedy decoding whatever the temperature. */
  doSample?: boolean
  temperature?: number
  topK?: number
  topP?: number
  minP?: number
  repetitionPenalty?: number
  /** Tokens never to generate. */
  suppressTokens?: number[]
}

const tokenId = z.number().int().min(0)
const tokenIds = z.union([tokenId.transform(id => [id]), z.array(tokenId)])
const schema = z.object({
  eos_token_id: tokenIds.nullish(),
  do_sample: z.boolean().nullish(),
  temperature: z.number().min(0).max(100).nullish(),
  top_k: z.number().int().min(0).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  repetition_penalty: z.number().gt(0).max(100).nullish(),
  suppress_tokens: z.array(tokenId).nullish(),
})

/**
 * Reads a generation_config.json; `undefined` when there is none.
 * @throws FileFormatError naming file, field and what is wrong
 */
export async function readGenerationConfig(path: string): Promise<GenerationDefaults | undefined> {
  const bytes = await readOptionalModelFile(path, maxConfigBytes)
  if (bytes === undefined) return undefined
  let raw: unknown
  try {
    raw = JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw new FileFormatError(path, 'not JSON', { cause })
  }
  const result = schema.safeParse(raw)
  if (!result.success) {
    const issue = result.error.issues[0]
    throw new FileFormatError(path, `"${issue?.path.join('.')}": ${issue?.message}`)
  }
  const c = result.data
  return withoutUndefined({
    eosTokenIds: c.eos_token_id ?? [],
    doSample: c.do_sample ?? undefined,
    temperature: c.temperature ?? undefined,
    topK: c.top_k ?? undefined,
    topP: c.top_p ?? undefined,
    minP: c.min_p ?? undefined,
    repetitionPenalty: c.repetition_penalty ?? undefined,
    suppressTokens: c.suppress_tokens?.length ? c.suppress_tokens : undefined,
  })
}

/** End tokens of a config.json field `eos_token_id`; anything that is not one or several ids counts as none. */
export function eosTokenIds(field: unknown): number[] {
  const result = tokenIds.safeParse(field)
  return result.success ? result.data : []
}

/**
 * Control tokens that end a turn in some family, whatever a GGUF file names as its end token.
 * Source: the list in llama.cpp (`llama-vocab.cpp`, special end-of-generation tokens).
 */
const endTokens: ReadonlySet<string> = new Set([
  '<|eot_id|>',
  '<|eom_id|>',
  '<|im_end|>',
  '<|end|>',
  '<|return|>',
  '<|call|>',
  '<end_of_turn>',
  '<turn|>',
  '<|endoftext|>',
  '<|end_of_text|>',
  '<|end▁of▁sentence|>',
  '<end_of_utterance>',
  '<EOT>',
  '_<EOT>',
])
const controlTokenType = 3

/** End tokens and sampling settings in the metadata of a GGUF file. */
export function ggufGenerationDefaults({ metadata }: GgufFile): GenerationDefaults {
  const numberOf = (key: string) => {
    const value = metadata.get(key)
    return typeof value === 'number' && Number.isFinite(value) ? value : undefined
  }
  const ids = new Set<number>()
  for (const kind of ['eos', 'eot', 'eom']) {
    const id = numberOf(`tokenizer.ggml.${kind}_token_id`)
    if (id !== undefined) ids.add(id)
  }
  const tokens = metadata.get('tokenizer.ggml.tokens')
  const types = metadata.get('tokenizer.ggml.token_type')
  if (
    tokens instanceof GgufStrings &&
    (types instanceof Int32Array || types instanceof Uint32Array)
  ) {
    types.forEach((type, id) => {
      if (type === controlTokenType && endTokens.has(tokens.at(id) ?? '')) ids.add(id)
    })
  }
  return withoutUndefined({
    eosTokenIds: [...ids].sort((a, b) => a - b),
    temperature: numberOf('general.sampling.temp'),
    topK: numberOf('general.sampling.top_k'),
    topP: numberOf('general.sampling.top_p'),
    minP: numberOf('general.sampling.min_p'),
    repetitionPenalty: numberOf('general.sampling.penalty_repeat'),
  })
}

function withoutUndefined(
  fields: { [K in keyof GenerationDefaults]: GenerationDefaults[K] | undefined },
): GenerationDefaults {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as unknown as GenerationDefaults
}
