import { EngineError, type ModelInfo } from '../engine.ts'

/**
 * Finds the model a request names: a real id, an alias, or `default` (also meant by no name at all).
 * @throws EngineError `model_not_found` listing what there is
 */
export function resolveModel(models: ModelInfo[], name: string | undefined): ModelInfo {
  const model =
    name === undefined || name === '' || name === 'default'
      ? models[0]
      : (models.find(({ id }) => id === name) ?? models.find(m => m.aliases.includes(name)))
  if (model !== undefined) return model
  const available = ['default', ...models.map(({ id }) => id)].map(id => `'${id}'`).join(', ')
  throw new EngineError({
    kind: 'model_not_found',
    message: `The model '${name ?? 'default'}' does not exist. Available models: ${available}.`,
    param: 'model',
  })
}
