import type { RawConfig } from '../config/rawConfig.ts'
import { UnsupportedModelError } from '../config/unsupportedModelError.ts'
import type { ModelDefinition } from './defineModel.ts'
import { gemma3 } from './gemma3.ts'
import { gemma4 } from './gemma4.ts'
import { llama } from './llama.ts'
import { mistral } from './mistral.ts'
import { qwen2 } from './qwen2.ts'
import { qwen3 } from './qwen3.ts'

export const models: readonly ModelDefinition[] = [llama, mistral, qwen2, qwen3, gemma3, gemma4]

/** Every `model_type` that can be loaded. */
export const supportedModelTypes = models.flatMap(model => model.modelTypes)

/** @throws UnsupportedModelError naming the architecture and those there are */
export function modelDefinition(raw: RawConfig): ModelDefinition {
  const found = models.find(model => model.modelTypes.includes(raw.modelType))
  if (found) return found
  throw new UnsupportedModelError(
    raw.path,
    raw.modelType,
    `architecture "${raw.modelType}" is not supported; supported are ${supportedModelTypes.join(', ')}`,
  )
}
