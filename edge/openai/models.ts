import type { JsonObject, ModelInfo } from '../engine.ts'
import { resolveModel } from '../jobs/resolveModel.ts'

/** The body of GET /v1/models: `default` first, then every model under its real id. */
export function modelList(models: ModelInfo[]): JsonObject {
  const [first] = models
  const entries = models.map(model => modelBody(model.id, model))
  return {
    object: 'list',
    data: first === undefined ? entries : [modelBody('default', first), ...entries],
  }
}

/** The body of GET /v1/models/{id}. @throws EngineError when no model has the name */
export function modelById(models: ModelInfo[], id: string): JsonObject {
  const model = resolveModel(models, id)
  return modelBody(id === 'default' ? id : model.id, model)
}

function modelBody(id: string, model: ModelInfo): JsonObject {
  return {
    id,
    object: 'model',
    created: model.created,
    owned_by: 'local',
    root: model.id,
    status: model.status,
    max_model_len: model.maxModelLen,
    quantization: model.quantization,
    input_modalities: ['text', ...model.inputModalities],
  }
}
