import type { GenerateJob, MediaPart, TokenizeJob } from '../../edge/engine.ts'

/** What has a prompt, and may come from an edge of another version unchecked. */
export interface Prompted {
  prompt: GenerateJob['prompt'] | TokenizeJob['prompt']
}

/** A part of a chat that is no text, and where it is. */
interface LocatedPart {
  part: MediaPart
  /** In terms of the job. */
  param: string
}

/** The media of a job, in order. */
export function mediaParts({ prompt }: Prompted): LocatedPart[] {
  if (prompt?.kind !== 'chat' || !Array.isArray(prompt.messages)) return []
  return prompt.messages.flatMap((message, m) => {
    const content = message?.content
    if (!Array.isArray(content)) return []
    return content.flatMap((part, p) =>
      part.type === 'text' ? [] : { part, param: `prompt.messages.${m}.content.${p}` },
    )
  })
}
