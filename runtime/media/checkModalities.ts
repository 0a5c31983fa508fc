import { EngineError, type GenerateJob, type Modality } from '../../edge/engine.ts'

/** @throws EngineError `unsupported_media` for the first part of a chat that is of none of these kinds */
export function checkModalities({ prompt }: GenerateJob, taken: readonly Modality[]): void {
  if (prompt?.kind !== 'chat' || !Array.isArray(prompt.messages)) return
  for (const [m, message] of prompt.messages.entries()) {
    if (!Array.isArray(message?.content)) continue
    for (const [p, part] of message.content.entries()) {
      if (part.type === 'text' || taken.includes(part.type)) continue
      const takes = ['text', ...taken].join(', ')
      throw new EngineError({
        kind: 'unsupported_media',
        message: `This model does not read content of type '${part.type}', only: ${takes}.`,
        param: `prompt.messages.${m}.content.${p}`,
      })
    }
  }
}
