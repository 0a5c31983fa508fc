import { type Engine, EngineError, type GenerateJob, type Usage } from '../../edge/engine.ts'

export interface TurnResult {
  text: string
  reasoning: string
  /** Absent when the signal ended the turn. */
  usage: Usage | undefined
}

/** Takes an answer as it comes. */
export interface TurnListener {
  onText?: (text: string) => void
  onReasoning?: (text: string) => void
}

/**
 * Runs one job and hands its output on as it comes.
 * @throws EngineError when the engine refuses the job or fails during it
 */
export async function runTurn(
  engine: Pick<Engine, 'submit'>,
  job: GenerateJob,
  signal: AbortSignal,
  { onText, onReasoning }: TurnListener = {},
): Promise<TurnResult> {
  let text = ''
  let reasoning = ''
  let usage: Usage | undefined
  try {
    const { events } = await engine.submit(job, signal)
    for await (const step of events) {
      for (const event of step) {
        if (event.kind === 'text') {
          text += event.text
          onText?.(event.text)
        } else if (event.kind === 'reasoning') {
          reasoning += event.text
          onReasoning?.(event.text)
        } else if (event.kind === 'usage') {
          usage = event
        } else if (event.kind === 'error') {
          throw new EngineError(event.error)
        }
      }
    }
  } catch (error) {
    // Before acceptance an abort is a rejection, afterwards just an end.
    if (!signal.aborted) throw error
  }
  return { text, reasoning, usage }
}

/** `prompt 38 tokens (12 cached) · first token 0.12 s · 310 tok/s in, 155 tok/s out`. */
export function describeUsage(usage: Usage): string {
  const cached = usage.cachedTokens > 0 ? ` (${usage.cachedTokens} cached)` : ''
  const speeds = [`${rate(usage.promptTokens - usage.cachedTokens, usage.promptMs)} tok/s in`]
  // The first token belongs to the prompt's time.
  if (usage.completionTokens > 1) {
    speeds.push(`${rate(usage.completionTokens - 1, usage.completionMs)} tok/s out`)
  }
  return [
    `prompt ${usage.promptTokens} tokens${cached}`,
    `first token ${(usage.promptMs / 1000).toFixed(2)} s`,
    speeds.join(', '),
  ].join(' · ')
}

function rate(tokens: number, ms: number): string {
  return ms > 0 ? ((tokens / ms) * 1000).toFixed(1) : '-'
}
