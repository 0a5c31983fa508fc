import path from 'node:path'
import { z } from 'zod'
import type { Pooling } from '../models/defineModel.ts'
import { FileFormatError } from '../weights/fileFormatError.ts'
import { readModelJson } from '../weights/modelFile.ts'
import { UnsupportedModelError } from './unsupportedModelError.ts'

/** What makes an embedding of a model's hidden states. */
export interface EmbeddingHead {
  pooling: Pooling
  /** Linear layers after the pooling, in order; their weights are `<folder>.linear`. */
  dense: DenseLayer[]
}

export interface DenseLayer {
  folder: string
  inSize: number
  outSize: number
  bias: boolean
}

const modulesSchema = z.array(z.object({ path: z.string(), type: z.string() }))

const poolingSchema = z.object({
  pooling_mode_mean_tokens: z.boolean().default(false),
  pooling_mode_lasttoken: z.boolean().default(false),
})

const denseSchema = z.object({
  in_features: z.number().int().positive(),
  out_features: z.number().int().positive(),
  bias: z.boolean().default(true),
  activation_function: z.string().default('torch.nn.modules.activation.Tanh'),
})

/**
 * Reads how a folder in sentence-transformers layout makes embeddings; the result is always normalized, so that module says
 * nothing new.
 * @param modelType for messages
 * @throws FileFormatError or UnsupportedModelError naming the module that is not known here
 */
export async function readEmbeddingHead(folder: string, modelType: string): Promise<EmbeddingHead> {
  const listPath = path.join(folder, 'modules.json')
  const modules = await readJson(listPath, modulesSchema)
  const head: EmbeddingHead = { pooling: 'mean', dense: [] }
  for (const module of modules) {
    const kind = module.type.split('.').at(-1)
    const config = path.join(folder, inside(listPath, module.path), 'config.json')
    const refuse = (what: string) =>
      new UnsupportedModelError(config, modelType, `${what} is not supported in an embedding model`)
    if (kind === 'Transformer' || kind === 'Normalize') continue
    if (kind === 'Pooling') head.pooling = toPooling(await readJson(config, poolingSchema), refuse)
    else if (kind === 'Dense') {
      const dense = await readJson(config, denseSchema)
      if (!dense.activation_function.endsWith('.Identity')) throw refuse(dense.activation_function)
      const { in_features: inSize, out_features: outSize, bias } = dense
      head.dense.push({ folder: module.path, inSize, outSize, bias })
    } else throw refuse(`the module ${module.type}`)
  }
  return head
}

function toPooling(
  modes: z.output<typeof poolingSchema>,
  refuse: (what: string) => UnsupportedModelError,
): Pooling {
  const chosen: Pooling[] = []
  if (modes.pooling_mode_mean_tokens) chosen.push('mean')
  if (modes.pooling_mode_lasttoken) chosen.push('last')
  const [only] = chosen
  if (only === undefined || chosen.length > 1) {
    throw refuse('pooling other than by the last token or by the mean')
  }
  return only
}

/** A module's folder; nothing outside the model's. */
function inside(listPath: string, module: string): string {
  const normal = path.normalize(module)
  if (normal === '.' || module === '') return ''
  if (!path.isAbsolute(normal) && !normal.startsWith('..')) return normal
  throw new FileFormatError(listPath, `the module path "${module}" leaves the folder`)
}

async function readJson<Schema extends z.ZodType>(
  file: string,
  schema: Schema,
): Promise<z.output<Schema>> {
  const value = await readModelJson(file)
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw new FileFormatError(file, z.prettifyError(result.error))
}
