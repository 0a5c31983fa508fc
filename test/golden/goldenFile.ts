import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'

const ids = z.array(z.number().int())
const greedy = z.object({ tokens: ids, margins: z.array(z.number()) })
const generation = z.object({
  name: z.string(),
  input_ids: ids,
  last_logits: z.array(z.number()),
  argmax: ids,
  top5: z.array(z.array(z.tuple([z.number(), z.number()]))),
  greedy,
  embeddings: z.array(z.array(z.number())).optional(),
  hidden_after_layer0: z.array(z.array(z.number())).optional(),
})
const schema = z.object({
  cases: z.array(generation),
  chat: z.object({ input_ids: ids, greedy }).optional(),
  multimodal: z.unknown().optional(),
})

export type Golden = z.output<typeof schema>
export type GoldenCase = z.output<typeof generation>

/** A golden that is sound but of a kind nothing here compares yet. */
export class UnsupportedGoldenError extends Error {
  override readonly name = 'UnsupportedGoldenError'
}

/**
 * Reads a `golden.json` of `tools/make_fixtures.py`.
 * @throws UnsupportedGoldenError for adapters
 */
export async function readGolden(folder: string, names: readonly string[]): Promise<Golden> {
  if (names.includes('adapter_config.json')) throw new UnsupportedGoldenError('LoRA adapter')
  const raw = JSON.parse(await readFile(path.join(folder, 'golden.json'), 'utf8'))
  return schema.parse(raw)
}

const embeddingSchema = z.object({
  cases: z.array(z.object({ text: z.string(), input_ids: ids, embedding: z.array(z.number()) })),
})

export type EmbeddingGolden = z.output<typeof embeddingSchema>

/** Reads the `golden.json` of an embedding model. */
export async function readEmbeddingGolden(folder: string): Promise<EmbeddingGolden> {
  return embeddingSchema.parse(JSON.parse(await readFile(path.join(folder, 'golden.json'), 'utf8')))
}

const realSchema = z.object({
  cases: z.array(
    z.object({
      kind: z.string(),
      input_ids: ids,
      steps: z.array(
        z.object({
          token: z.number(),
          margin: z.number(),
          top5: z.array(z.tuple([z.number(), z.number()])),
        }),
      ),
    }),
  ),
})

export type RealGolden = z.output<typeof realSchema>

/** Reads a `NAME.logits-golden.json` of `tools/make_real_goldens.py`. */
export async function readRealGolden(file: string): Promise<RealGolden> {
  return realSchema.parse(JSON.parse(await readFile(file, 'utf8')))
}
