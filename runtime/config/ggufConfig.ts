import { open } from 'node:fs/promises'
import { FileFormatError } from '../weights/fileFormatError.ts'
import type { GgufFile } from '../weights/gguf.ts'
import { ggufArchitectures } from '../weights/ggufNaming.ts'
import { GgufStrings } from '../weights/ggufStrings.ts'
import type { GgufTensor } from '../weights/ggufTensors.ts'
import type { GgufValue } from '../weights/ggufValues.ts'
import { RawConfig } from './rawConfig.ts'
import { UnsupportedModelError } from './unsupportedModelError.ts'

type Fields = Record<string, unknown>

/** GGUF architecture to `model_type`. */
const modelTypes: Record<string, string> = {
  llama: 'llama',
  qwen2: 'qwen2',
  qwen3: 'qwen3',
  gemma3: 'gemma3_text',
  gemma4: 'gemma4_text',
}

/**
 * Builds what config.json would say from the metadata and tensors of a GGUF model.
 * @param files all parts of the model, the one with the metadata first
 * @throws UnsupportedModelError for an architecture that is not known
 * Source: keys of gguf-py's `constants.py`; fixed values of llama.cpp's loaders where the file has no key.
 */
export async function ggufConfig(files: readonly GgufFile[]): Promise<RawConfig> {
  const [main] = files
  if (!main) throw new RangeError('no GGUF file')
  const architecture = String(main.metadata.get('general.architecture') ?? 'unknown')
  const isKnown = Object.hasOwn(modelTypes, architecture)
  const modelType = isKnown ? modelTypes[architecture] : undefined
  if (!modelType) {
    const reason = `GGUF architecture "${architecture}" is not supported; supported are ${ggufArchitectures.join(', ')}`
    throw new UnsupportedModelError(main.path, architecture, reason)
  }
  const reader = new GgufFields(files, main, architecture)
  const fields = { ...reader.common(), ...(await reader.ropeScaling()) }
  if (fields.num_experts) {
    const reason = `"${architecture}" with experts is not supported`
    throw new UnsupportedModelError(main.path, architecture, reason)
  }
  const own =
    architecture === 'gemma3'
      ? reader.gemma3()
      : architecture === 'gemma4'
        ? await reader.gemma4()
        : {}
  return new RawConfig(main.path, modelType, { ...fields, ...own })
}

class GgufFields {
  readonly #main: GgufFile
  readonly #architecture: string
  readonly #tensors = new Map<string, GgufTensor & { path: string }>()

  constructor(files: readonly GgufFile[], main: GgufFile, architecture: string) {
    this.#main = main
    this.#architecture = architecture
    for (const { path, tensors } of files) {
      for (const tensor of tensors) this.#tensors.set(tensor.name, { ...tensor, path })
    }
  }

  common(): Fields {
    const heads = this.#scalar('attention.head_count')
    const embedding = this.#tensors.get('token_embd.weight')
    const tokens = this.#main.metadata.get('tokenizer.ggml.tokens')
    if (embedding && tokens instanceof GgufStrings && tokens.length > embedding.rows) {
      const reason = `tensor "token_embd.weight" has ${embedding.rows} rows for ${tokens.length} tokens`
      throw new FileFormatError(this.#main.path, reason)
    }
    return {
      vocab_size: embedding?.rows,
      hidden_size: this.#scalar('embedding_length'),
      intermediate_size: this.#scalar('feed_forward_length'),
      num_hidden_layers: this.#scalar('block_count'),
      num_attention_heads: heads,
      num_key_value_heads: this.#scalar('attention.head_count_kv') ?? heads,
      head_dim: this.#scalar('attention.key_length') ?? this.#scalar('rope.dimension_count'),
      max_position_embeddings: this.#scalar('context_length'),
      rms_norm_eps: this.#required('attention.layer_norm_rms_epsilon'),
      rope_theta: this.#scalar('rope.freq_base'),
      tie_word_embeddings: !this.#tensors.has('output.weight'),
      attention_bias: this.#tensors.has('blk.0.attn_q.bias'),
      num_experts: this.#scalar('expert_count'),
    }
  }

  async ropeScaling(): Promise<Fields> {
    const factors = await this.#floats('rope_freqs.weight')
    if (factors) return { rope_scaling: { rope_type: 'factors', factors } }
    const type = this.#value('rope.scaling.type')
    if (type === undefined || type === 'none') return {}
    return {
      rope_scaling: {
        rope_type: type,
        factor: this.#scalar('rope.scaling.factor'),
        original_max_position_embeddings: this.#scalar('rope.scaling.original_context_length'),
        beta_fast: this.#scalar('rope.scaling.yarn_beta_fast'),
        beta_slow: this.#scalar('rope.scaling.yarn_beta_slow'),
      },
    }
  }

  gemma3(): Fields {
    const layers = this.#scalar('block_count') ?? 0
    const heads = this.#scalar('attention.head_count') ?? 1
    const hidden = this.#scalar('embedding_length') ?? 0
    // The 27B model scales scores by its width a head; there is no key for it.
    const is27b = layers === 62
    return {
      hidden_activation: 'gelu_pytorch_tanh',
      query_pre_attn_scalar: is27b ? hidden / heads : this.#scalar('attention.key_length'),
      rope_local_base_freq: this.#scalar('rope.freq_base_swa') ?? 10000,
      sliding_window: this.#scalar('attention.sliding_window'),
      final_logit_softcapping: this.#scalar('final_logit_softcapping'),
      ...this.#layerTypes(layers, 6),
    }
  }

  async gemma4(): Promise<Fields> {
    const layers = this.#scalar('block_count') ?? 0
    const globalDim = this.#scalar('attention.key_length')
    const localDim = this.#scalar('attention.key_length_swa') ?? globalDim
    const { layer_types: layerTypes } = this.#layerTypes(layers, 6)
    const firstOf = (type: string) => Math.max(layerTypes.indexOf(type), 0)
    const [local, global] = [firstOf('sliding_attention'), firstOf('full_attention')]
    const kvHeads = this.#list('attention.head_count_kv')
    const widths = this.#list('feed_forward_length')
    const shared = this.#scalar('attention.shared_kv_layers') ?? 0
    // Frequencies that are not rotated are stored as a huge divisor.
    const factors = (await this.#floats('rope_freqs.weight')) ?? []
    const rotated = factors.filter(factor => factor < 1e9).length
    return {
      hidden_activation: 'gelu_pytorch_tanh',
      head_dim: localDim,
      global_head_dim: globalDim,
      num_key_value_heads: kvHeads[local] ?? kvHeads[0],
      num_global_key_value_heads: kvHeads[global] ?? kvHeads[0],
      attention_k_eq_v:
        this.#tensors.has(`blk.${global}.attn_k.weight`) &&
        !this.#tensors.has(`blk.${global}.attn_v.weight`),
      intermediate_size: widths[0],
      use_double_wide_mlp: shared > 0 && widths.at(-1) === 2 * (widths[0] ?? 0),
      num_kv_shared_layers: shared,
      hidden_size_per_layer_input: this.#scalar('embedding_length_per_layer_input') ?? 0,
      vocab_size_per_layer_input: this.#tensors.get('per_layer_token_embd.weight')?.rows,
      sliding_window: this.#scalar('attention.sliding_window'),
      final_logit_softcapping: this.#scalar('final_logit_softcapping'),
      layer_types: layerTypes,
      rope_scaling: undefined,
      rope_parameters: {
        full_attention: {
          rope_type: 'proportional',
          rope_theta: this.#scalar('rope.freq_base'),
          partial_rotary_factor: factors.length > 0 ? rotated / factors.length : 1,
        },
        sliding_attention: {
          rope_type: 'default',
          rope_theta: this.#scalar('rope.freq_base_swa') ?? 10000,
        },
      },
    }
  }

  /** From a pattern in the metadata (one flag a layer, or a period), else every `period`-th layer is full. */
  #layerTypes(layers: number, period: number): { layer_types: string[] } {
    const pattern = this.#value('attention.sliding_window_pattern')
    const flags = Array.isArray(pattern) ? pattern : undefined
    const every = typeof pattern === 'number' && pattern > 0 ? pattern : period
    const layerTypes = Array.from({ length: Math.min(layers, 1024) }, (_, i) => {
      const slides = flags ? flags[i] === true : (i + 1) % every !== 0
      return slides ? 'sliding_attention' : 'full_attention'
    })
    return { layer_types: layerTypes }
  }

  #value(key: string): GgufValue | undefined {
    return this.#main.metadata.get(`${this.#architecture}.${key}`)
  }

  #required(key: string): number {
    const value = this.#scalar(key)
    if (value !== undefined) return value
    throw new FileFormatError(this.#main.path, `no metadata "${this.#architecture}.${key}"`)
  }

  /** A number, or the first of one for each layer. */
  #scalar(key: string): number | undefined {
    return this.#list(key)[0]
  }

  #list(key: string): number[] {
    const value = this.#value(key)
    if (value === undefined) return []
    if (typeof value === 'number') return [value]
    if (ArrayBuffer.isView(value)) return Array.from(value as Uint32Array, Number)
    const reason = `metadata "${this.#architecture}.${key}" is not a number`
    throw new FileFormatError(this.#main.path, reason)
  }

  /** Values of a small F32 tensor. */
  async #floats(name: string): Promise<number[] | undefined> {
    const tensor = this.#tensors.get(name)
    if (tensor?.type !== 'F32' || tensor.bytes > 2 ** 16) return undefined
    const file = await open(tensor.path, 'r')
    try {
      const bytes = Buffer.alloc(tensor.bytes)
      await file.read(bytes, 0, tensor.bytes, tensor.offset)
      return Array.from({ length: tensor.bytes / 4 }, (_, i) => bytes.readFloatLE(4 * i))
    } finally {
      await file.close()
    }
  }
}
