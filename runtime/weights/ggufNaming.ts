import type { WeightTransform } from '../native.ts'

/** How GGUF files of one architecture call and store the weights of the Hugging Face checkpoint. */
export interface GgufNaming {
  /** Name in the file of a canonical name, or undefined when the architecture has no such weight. */
  stored(name: string): string | undefined
  /** What turns the stored tensor into the canonical one. */
  transforms(name: string, heads: { q: number; kv: number }): WeightTransform[]
}

/** Both sides without `.weight` / `.bias`; `L.` stands for `model.layers.N.` and `blk.N.`. */
const common: Record<string, string> = {
  'model.embed_tokens': 'token_embd',
  'model.norm': 'output_norm',
  lm_head: 'output',
  'L.input_layernorm': 'L.attn_norm',
  'L.self_attn.q_proj': 'L.attn_q',
  'L.self_attn.k_proj': 'L.attn_k',
  'L.self_attn.v_proj': 'L.attn_v',
  'L.self_attn.o_proj': 'L.attn_output',
  'L.self_attn.q_norm': 'L.attn_q_norm',
  'L.self_attn.k_norm': 'L.attn_k_norm',
  'L.post_attention_layernorm': 'L.ffn_norm',
  'L.mlp.gate_proj': 'L.ffn_gate',
  'L.mlp.up_proj': 'L.ffn_up',
  'L.mlp.down_proj': 'L.ffn_down',
}

const fourNorms: Record<string, string> = {
  ...common,
  'L.post_attention_layernorm': 'L.post_attention_norm',
  'L.pre_feedforward_layernorm': 'L.ffn_norm',
  'L.post_feedforward_layernorm': 'L.post_ffw_norm',
}

const perLayerInputs: Record<string, string> = {
  ...fourNorms,
  'model.embed_tokens_per_layer': 'per_layer_token_embd',
  'model.per_layer_model_projection': 'per_layer_model_proj',
  'model.per_layer_projection_norm': 'per_layer_proj_norm',
  'L.per_layer_input_gate': 'L.inp_gate',
  'L.per_layer_projection': 'L.proj',
  'L.post_per_layer_input_norm': 'L.post_norm',
  'L.layer_scalar': 'L.layer_output_scale',
}

interface Convention {
  names: Record<string, string>
  /** Rows of Q and K are in the order of interleaved rotary pairs. */
  permutesQk?: boolean
  /** Norm weights are stored as 1 + w. */
  shiftsNorms?: boolean
}

/** Source: the names in gguf-py's `constants.py`, the transforms in llama.cpp's `convert_hf_to_gguf.py`. */
const conventions: Record<string, Convention> = {
  llama: { names: common, permutesQk: true },
  qwen2: { names: common },
  qwen3: { names: common },
  gemma3: { names: fourNorms, shiftsNorms: true },
  gemma4: { names: perLayerInputs },
}

/** Values of `general.architecture` whose weights can be found. */
export const ggufArchitectures = Object.keys(conventions)

export function ggufNaming(architecture: string): GgufNaming {
  const { names, permutesQk, shiftsNorms } = conventions[architecture] ?? { names: {} }
  return {
    stored(name) {
      const { layer, base, suffix } = split(name)
      const stored = names[base]
      return stored && stored.replace(/^L\./, `blk.${layer}.`) + suffix
    },
    transforms(name, heads) {
      const { base } = split(name)
      if (permutesQk && base === 'L.self_attn.q_proj') {
        return [{ kind: 'unpermuteRows', heads: heads.q }]
      }
      if (permutesQk && base === 'L.self_attn.k_proj') {
        return [{ kind: 'unpermuteRows', heads: heads.kv }]
      }
      return shiftsNorms && base.endsWith('norm') ? [{ kind: 'addScalar', value: -1 }] : []
    },
  }
}

/** `model.layers.3.mlp.up_proj.weight` is layer 3, base `L.mlp.up_proj`, suffix `.weight`. */
function split(name: string): { layer: string; base: string; suffix: string } {
  const match = /^(?:model\.layers\.(\d+)\.)?(.*?)(\.weight|\.bias)?$/.exec(name)
  const [, layer, rest = '', suffix = '.weight'] = match ?? []
  return { layer: layer ?? '', base: layer === undefined ? rest : `L.${rest}`, suffix }
}
