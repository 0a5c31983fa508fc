import type { RawConfig } from '../config/rawConfig.ts'
import type { GraphBuilder, Tensor } from '../graph/graphBuilder.ts'

/** Names weights below a prefix: `l('mlp')` is `model.layers.3.mlp`. */
export interface WeightScope {
  (name: string): string
  scope(name: string): WeightScope
}

/** What every architecture's configuration has. */
export interface BaseConfig {
  vocabSize: number
  hiddenSize: number
  numLayers: number
  /** Whether the output projection is the embedding table. */
  tied: boolean
  /** Positions the model was made for. */
  maxPositions: number
  /** false: tokens see later ones, so that the model cannot generate. */
  causal?: boolean
}

export interface ModelDefinition<Config extends BaseConfig = BaseConfig> {
  /** `model_type` values of config.json. */
  modelTypes: readonly string[]
  /** Entry of `architectures` to show for GGUF files, which have none. */
  architecture: string
  /** Reads the fields it needs. @throws FileFormatError or UnsupportedModelError */
  config(raw: RawConfig): Config
  /** Weights that are another weight when `config.tied`. */
  tied: Readonly<Record<string, string>>
  /** Wires the graph and returns the logits, [L, V]. */
  build(g: GraphBuilder, c: Config, w: WeightScope): Tensor
  /**
   * For families that embedding models are made of: wires the graph up to the last norm and returns the hidden state of
   * each sequence, [L, D].
   */
  embed?(g: GraphBuilder, c: Config, w: WeightScope, pooling: Pooling): Tensor
}

/** Which rows of a sequence make its embedding: that of its last token, or the mean of all. */
export type Pooling = 'last' | 'mean'

/** Declares an architecture; only gives the parameters of `build` their types. */
export function defineModel<Config extends BaseConfig>(
  definition: ModelDefinition<Config>,
): ModelDefinition<Config> {
  return definition
}

export function weightScope(prefix = ''): WeightScope {
  const name = (part: string) => (prefix === '' ? part : `${prefix}.${part}`)
  return Object.assign(name, { scope: (part: string) => weightScope(name(part)) })
}
