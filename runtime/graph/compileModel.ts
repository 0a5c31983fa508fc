import type { BaseConfig, ModelDefinition } from '../models/defineModel.ts'
import { weightScope } from '../models/defineModel.ts'
import { GraphBuilder } from './graphBuilder.ts'
import type { KvGroup } from './kvGroups.ts'
import { lower } from './lower.ts'
import type { Plan, PlanWeight } from './plan.ts'
import { printPlan } from './printPlan.ts'
import { fuse, type Rewrite, rewrites } from './rewrites.ts'
import { validatePlan } from './validatePlan.ts'

export interface CompiledModel {
  plan: Plan
  /** The plan in the language of docs/plan.md. */
  text: string
  kvGroups: KvGroup[]
  /** Weights to bind, by their canonical Hugging Face names. */
  weightNames: CompiledWeight[]
}

export interface CompiledWeight extends PlanWeight {
  /** Operand of a linear op, so it may be quantized. */
  linear: boolean
}

/**
 * Builds a model's graph, fuses it and lowers it to a validated plan.
 * @param options.fuse which rewrites, all by default; false keeps one op per line of the definition (tests, debugging)
 */
export function compileModel<Config extends BaseConfig>(
  definition: ModelDefinition<Config>,
  config: Config,
  options: { fuse?: boolean | readonly Rewrite[] } = {},
): CompiledModel {
  const tied = config.tied ? new Map(Object.entries(definition.tied)) : undefined
  const builder = new GraphBuilder(tied)
  builder.graph.result = definition.build(builder, config, weightScope()).node
  const { fuse: selected = true } = options
  if (selected) fuse(builder.graph, selected === true ? rewrites : selected)
  const plan = lower(builder.graph, config.vocabSize)
  validatePlan(plan)
  const linears = linearWeights(plan)
  const weightNames = plan.weights.map((weight, i) => ({ ...weight, linear: linears.has(i) }))
  return { plan, text: printPlan(plan), kvGroups: plan.groups, weightNames }
}

function linearWeights(plan: Plan): Set<number> {
  return new Set(
    plan.ops.flatMap(op => {
      if (op.op === 'linear') return op.weights
      return op.op === 'gated_linear' ? [op.gate, op.up] : []
    }),
  )
}
