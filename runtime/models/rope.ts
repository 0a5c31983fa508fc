import { z } from 'zod'
import { count, flag, positive, type RawConfig } from '../config/rawConfig.ts'
import type { RopeTable } from '../graph/ir.ts'

/** Rotary embedding of one layer type: base and how it is stretched. */
export type RopeConfig = { theta: number } & z.output<typeof scalingSchema>

const factor = positive(1e6)
const scalingSchema = z.discriminatedUnion('rope_type', [
  z.object({ rope_type: z.literal('default') }),
  z.object({ rope_type: z.literal('linear'), factor }),
  // Changes nothing up to max_position_embeddings, which is as far as a model is served.
  z.object({ rope_type: z.literal('dynamic') }),
  z.object({
    rope_type: z.literal('llama3'),
    factor,
    low_freq_factor: positive(1e6),
    high_freq_factor: positive(1e6),
    original_max_position_embeddings: count(2 ** 27),
  }),
  z.object({
    rope_type: z.literal('yarn'),
    factor,
    original_max_position_embeddings: count(2 ** 27).optional(),
    attention_factor: positive(1e6).optional(),
    beta_fast: positive(1e6).default(32),
    beta_slow: positive(1e6).default(1),
    mscale: positive(1e6).optional(),
    mscale_all_dim: positive(1e6).optional(),
    truncate: flag().default(true),
  }),
  /** Rotates only the first part of the pairs, at frequencies of the whole head (Gemma 4). */
  z.object({ rope_type: z.literal('proportional'), partial_rotary_factor: positive(1).default(1) }),
  /** Divisors of the frequencies, as GGUF files store them. */
  z.object({
    rope_type: z.literal('factors'),
    factors: z.array(positive(Number.MAX_VALUE)).max(4096),
  }),
])
const ropeTypes = scalingSchema.options.map(option => option.shape.rope_type.value)

const rawScaling = z
  .looseObject({ rope_type: z.string().optional(), type: z.string().optional() })
  .optional()
const rotationSchema = z.object({
  rope_theta: positive(1e12).optional(),
  partial_rotary_factor: positive(1).optional(),
})
const rawRope = rotationSchema.extend({
  rope_scaling: rawScaling,
  rope_parameters: z.looseObject({}).optional(),
})

/**
 * Rope of a layer type from either form of config.json: `rope_parameters` (flat, or one for each layer type) or
 * `rope_theta` with `rope_scaling`.
 * @throws UnsupportedModelError for a scaling that is not known, FileFormatError for wrong fields
 */
export function ropeConfig(
  raw: RawConfig,
  defaults: { theta: number },
  layerType = 'full_attention',
): RopeConfig {
  const { rope_scaling, rope_parameters, ...top } = raw.parse(rawRope)
  const nested = rope_parameters?.[layerType]
  const given = (nested ?? rope_parameters ?? rope_scaling ?? {}) as Record<string, unknown>
  const type = given.rope_type ?? given.type ?? 'default'
  if (!(ropeTypes as unknown[]).includes(type)) {
    throw raw.unsupported(`rope scaling "${type}" is not supported, only ${ropeTypes.join(', ')}`)
  }
  const key = rope_parameters ? 'rope_parameters' : 'rope_scaling'
  const inside = raw.within(nested ? `${key}.${layerType}` : key, { ...given, rope_type: type })
  const { rope_theta = top.rope_theta ?? defaults.theta, ...own } = inside.parse(rotationSchema)
  const part = own.partial_rotary_factor ?? top.partial_rotary_factor ?? 1
  if (part !== 1 && type !== 'proportional') {
    throw raw.unsupported(`"${type}" rope over ${part} of a head is not supported`)
  }
  return { theta: rope_theta, ...inside.parse(scalingSchema) }
}

/**
 * Inverse frequencies in float32, as transformers computes them (`modeling_rope_utils.py`).
 * @param dim size of a head
 * @param maxPositions `max_position_embeddings`, which YaRN falls back to
 */
export function ropeTable(config: RopeConfig, dim: number, maxPositions: number): RopeTable {
  const base = Float32Array.from({ length: dim / 2 }, (_, i) =>
    f32(1 / f32(config.theta ** f32((2 * i) / dim))),
  )
  switch (config.rope_type) {
    case 'default':
    case 'dynamic':
      return { dim, factor: 1, invFreq: base }
    case 'linear':
      return { dim, factor: 1, invFreq: base.map(f => f32(f / config.factor)) }
    case 'llama3':
      return { dim, factor: 1, invFreq: base.map(f => llama3(f, config)) }
    case 'proportional': {
      const rotated = Math.floor((config.partial_rotary_factor * dim) / 2)
      return { dim, factor: 1, invFreq: base.map((f, i) => (i < rotated ? f : 0)) }
    }
    case 'factors':
      return { dim, factor: 1, invFreq: base.map((f, i) => f32(f / (config.factors[i] ?? 1))) }
    case 'yarn':
      return yarn(config, base, dim, maxPositions)
  }
}

const f32 = Math.fround

/** Long waves are stretched by the factor, short ones kept, those between blended. */
function llama3(f: number, c: Extract<RopeConfig, { rope_type: 'llama3' }>): number {
  const original = c.original_max_position_embeddings
  const wavelength = f32(f32(2 * Math.PI) / f)
  if (wavelength < original / c.high_freq_factor) return f
  if (wavelength > original / c.low_freq_factor) return f32(f / c.factor)
  const smooth = f32(
    f32(f32(original / wavelength) - c.low_freq_factor) / (c.high_freq_factor - c.low_freq_factor),
  )
  return f32(f32(f32(f32(1 - smooth) * f) / c.factor) + f32(smooth * f))
}

/** Source: YaRN (Peng et al. 2023), with the attention factor of DeepSeek's variant (`mscale`). */
function yarn(
  c: Extract<RopeConfig, { rope_type: 'yarn' }>,
  base: Float32Array,
  dim: number,
  maxPositions: number,
): RopeTable {
  const original = c.original_max_position_embeddings ?? maxPositions
  const mscale = (m: number) => (c.factor <= 1 ? 1 : 0.1 * m * Math.log(c.factor) + 1)
  const attention =
    c.attention_factor ??
    (c.mscale !== undefined && c.mscale_all_dim !== undefined
      ? mscale(c.mscale) / mscale(c.mscale_all_dim)
      : mscale(1))
  const dimOf = (rotations: number) =>
    (dim * Math.log(original / (rotations * 2 * Math.PI))) / (2 * Math.log(c.theta))
  const round = (x: number, to: (x: number) => number) => (c.truncate ? to(x) : x)
  const low = Math.max(round(dimOf(c.beta_fast), Math.floor), 0)
  const end = Math.min(round(dimOf(c.beta_slow), Math.ceil), dim - 1)
  const high = low === end ? end + 0.001 : end
  const invFreq = base.map((f, i) => {
    const interpolated = f32(f / c.factor)
    const ramp = f32(Math.min(Math.max((i - low) / (high - low), 0), 1))
    const extrapolate = f32(1 - ramp)
    return f32(f32(interpolated * f32(1 - extrapolate)) + f32(f * extrapolate))
  })
  return { dim, factor: attention, invFreq }
}
