import { EngineError, type Modality } from '../../edge/engine.ts'
import { mediaParts, type Prompted } from './mediaParts.ts'

/** @throws EngineError `unsupported_media` for the first part of a chat that is of none of these kinds */
export function checkModalities(job: Prompted, taken: readonly Modality[]): void {
  for (const { part, param } of mediaParts(job)) {
    if (taken.includes(part.type)) continue
    const takes = ['text', ...taken].join(', ')
    throw new EngineError({
      kind: 'unsupported_media',
      message: `This model does not read content of type '${part.type}', only: ${takes}.`,
      param,
    })
  }
}
