import { EngineError, type GenerateJob } from '../engine.ts'
import { invalidRequest } from '../errors.ts'
import { openaiParam } from './errorBody.ts'

/**
 * Says which field of the request holds a language that does not compile, and whether it is a schema.
 * @param grammarParam the field that `job.grammar` comes from
 * @returns undefined for any other failure
 */
export function grammarError(error: unknown, job: GenerateJob, grammarParam: string | undefined) {
  if (!(error instanceof EngineError) || error.kind !== 'invalid_grammar') return undefined
  const { param = 'grammar', message } = error
  const isOutput = /^grammar\b/.test(param)
  const isSchema = isOutput
    ? job.grammar?.type === 'json_schema'
    : /^prompt\.tools\.\d+\.function\b/.test(param)
  return invalidRequest(
    isOutput ? grammarParam : openaiParam(param, error.kind, 'messages'),
    message,
    isSchema ? 'invalid_json_schema' : 'invalid_grammar',
  )
}
