import type { EmbeddingHead } from '../config/sentenceTransformers.ts'
import { GraphBuilder, type Tensor } from '../graph/graphBuilder.ts'
import type { KvGroup } from '../graph/kvGroups.ts'
import { lower } from '../graph/lower.ts'
import type { CompiledWeight, Plan } from '../graph/plan.ts'
import { printPlan } from '../graph/printPlan.ts'
import { fuse, type Rewrite, rewrites } from '../graph/rewrites.ts'
import { validatePlan } from '../graph/validatePlan.ts'
import type { BaseConfig, ModelDefinition } from './defineModel.ts'
import { weightScope } from './defineModel.ts'

export interface CompiledModel {
  plan: Plan
  /** The plan in the language of docs/plan.md. */
  text: string
  kvGroups: KvGroup[]
  /** Weights to bind, by their canonical Hugging Face names. */
  weightNames: CompiledWeight[]
  /** A prompt must be computed in one step: some op sees later tokens. */
  wholePrompts: boolean
}

/**
 * Builds a model's graph, fuses it and lowers it to a validated plan.
 * @param options.fuse which rewrites, all by default; false keeps one op per line of the definition (tests, debugging)
 */
export function compileModel<Config extends BaseConfig>(
  definition: ModelDefinition<Config>,
  config: Config,
  options: { fuse?: boolean | readonly Rewrite[]; embedding?: EmbeddingHead } = {},
): CompiledModel {
  const tied = config.tied ? new Map(Object.entries(definition.tied)) : undefined
  const builder = new GraphBuilder(tied)
  const { fuse: selected = true, embedding } = options
  builder.graph.result = embedding
    ? buildEmbedding(builder, definition, config, embedding).node
    : definition.build(builder, config, weightScope()).node
  if (selected) fuse(builder.graph, selected === true ? rewrites : selected)
  const plan = lower(builder.graph, config.vocabSize, embedding ? 'hidden' : 'logits')
  validatePlan(plan)
  const linears = linearWeights(plan)
  const weightNames = plan.weights.map((weight, i) => ({ ...weight, linear: linears.has(i) }))
  const wholePrompts = plan.ops.some(
    op => op.op === 'mean_rows' || (op.op === 'attention' && !op.causal),
  )
  return { plan, text: printPlan(plan), kvGroups: plan.groups, weightNames, wholePrompts }
}

function buildEmbedding<Config extends BaseConfig>(
  g: GraphBuilder,
  definition: ModelDefinition<Config>,
  config: Config,
  { pooling, dense }: EmbeddingHead,
): Tensor {
  const w = weightScope()
  if (definition.embed === undefined) {
    throw new Error(`${definition.architecture} has no embedding form`)
  }
  let h = definition.embed(g, config, w, pooling) // [L, D]
  for (const { folder, outSize, bias } of dense) {
    h = g.linear(h, w.scope(folder)('linear'), outSize, { bias })
  }
  return h
}

function linearWeights(plan: Plan): Set<number> {
  return new Set(
    plan.ops.flatMap(op => {
      if (op.op === 'linear') return op.weights
      return op.op === 'gated_linear' ? [op.gate, op.up] : []
    }),
  )
}
