import { z } from 'zod'
import { modelActionFields } from '../service/modelRoutes.ts'
import { detokenizeFields, tokenizeFields } from '../service/tokenizeRoutes.ts'
import { count } from './numbers.ts'

const Model = z.object({
  id: z.string(),
  object: z.literal('model'),
  created: count.describe('Unix seconds.'),
  owned_by: z.string(),
  root: z.string(),
  status: z.enum(['loading', 'loaded', 'unloaded', 'failed']),
  max_model_len: count.nullable(),
  quantization: z.string().nullable(),
  input_modalities: z.array(z.string()),
})

const pieces = z.array(z.string()).optional()

/** What the server's own routes, and those of its models, take and give. */
export const serviceBodies = {
  Model,
  ModelList: z.object({ object: z.literal('list'), data: z.array(Model) }),
  ModelAction: modelActionFields,
  ModelStatus: z.object({ model_id: z.string(), status: Model.shape.status }),
  TokenizeRequest: tokenizeFields,
  Tokens: z.object({
    tokens: z.array(z.union([count, z.object({ id: count, piece: z.string() })])),
    count,
    max_model_len: count.nullable(),
    pieces,
    token_strs: pieces,
  }),
  DetokenizeRequest: detokenizeFields,
  Text: z.object({ text: z.string(), prompt: z.string(), content: z.string() }),
  RenderedPrompt: z.object({ prompt: z.string() }),
  CancelledRequest: z.object({ id: z.string(), cancelled: z.literal(true) }),
  Readiness: z.object({
    status: z.enum(['ready', 'loading', 'draining', 'failed']),
    detail: z.string().optional(),
    running: count.optional(),
    waiting: count.optional(),
    kvPagesUsed: count.optional(),
    kvPagesTotal: count.optional(),
  }),
  SystemInfo: z.record(z.string(), z.unknown()).describe('Facts about the machine, for people.'),
}
